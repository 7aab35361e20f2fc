/** What the plugin is told: options in opencode.json first, then the environment. */

import { readFile } from "node:fs/promises";

import { isSecure, parseUrl, whyProxied } from "./http.js";

const TEXTS = ["relay", "key", "keyFile", "publicUrl", "listen"];
const OPTIONS = [...TEXTS, "catcher", "headless", "providers", "gitlab"];
const OF_OTHER_PROVIDERS = ["issuer", "clientId", "scope"];

/** Something is set wrongly; the message says what, and what to set. */
export class SettingsError extends Error {
  constructor(
    message: string,
    /** The message in a few words, for a label. */
    readonly short = "set wrongly",
  ) {
    super(message);
  }
}

export interface Settings {
  /** False where nothing is set that concerns one: then sign-ins are pasted. */
  readonly hasRelay: boolean;
  /** The relay's public URL: an origin, the same string as its `issuer`. Throws `SettingsError`. */
  readonly relay: () => string;
  /** Read anew each time, so that a replaced key file needs no restart. Throws `SettingsError`. */
  readonly key: () => Promise<string | undefined>;
  /** opencode's address in a browser, an origin; `auto` finds it out. Throws `SettingsError`. */
  readonly publicUrl: () => string | undefined;
  /** Where the reverse proxy finds the plugin. Throws `SettingsError`. */
  readonly listen: () => Address;
  /** True where people's browsers carry to the relay what ends on localhost. */
  readonly catcher: boolean;
  /** False where ChatGPT's device flow is not to be offered. */
  readonly headless: boolean;
  /** True where GitLab's sign-in is to be this plugin's. */
  readonly gitlab: boolean;
}

/** A TCP address or the path of a Unix socket. */
export type Address = { host: string; port: number } | { path: string };

export const AUTO = "auto";

/** Throws `SettingsError`. */
export function readSettings(
  options: Readonly<Record<string, unknown>>,
  env: Environment,
): Settings {
  for (const [name, value] of Object.entries(options)) {
    // Their tokens would stand in opencode's slot "openai", and opencode send them to OpenAI.
    if (OF_OTHER_PROVIDERS.includes(name)) {
      throw new SettingsError(
        `the option "${name}" is none by itself: remove it, for ChatGPT's is known. An identity ` +
          "provider of one's own stands in the option " +
          '"providers": [{"id", "issuer", "clientId"}]',
      );
    }
    if (!OPTIONS.includes(name)) {
      throw new SettingsError(`unknown option "${name}": known are ${OPTIONS.join(", ")}`);
    }
    if (TEXTS.includes(name) && typeof value !== "string") {
      throw new SettingsError(`the option "${name}" must be a string`);
    }
  }
  // An unset {env:X} in opencode.json arrives as "", which counts as not set.
  const option = (name: string) => (options[name] as string | undefined)?.trim() || undefined;
  const variable = (name: string) => env[`OPENCODE_RELAY_${name}`]?.trim() || undefined;
  const isOn = (name: string) =>
    onOrOff(name, options[name]) ?? onOrOff(name, variable(name.toUpperCase()));

  const relay = option("relay") ?? variable("URL");
  const keys = [option("key"), option("keyFile"), variable("KEY"), variable("KEY_FILE")] as const;
  const publicUrl = option("publicUrl") ?? (env["OPENCODE_PUBLIC_URL"]?.trim() || undefined);
  const catcher = isOn("catcher") ?? false;

  return {
    hasRelay: catcher || [relay, publicUrl, ...keys].some((one) => one !== undefined),
    relay: () => relayOrigin(relay, env),
    key: keyReader(...keys, isOther(option("relay"), variable("URL"))),
    publicUrl: () => publicOrigin(publicUrl),
    listen: () => listenAddress(option("listen") ?? variable("LISTEN") ?? "127.0.0.1:4097"),
    catcher,
    headless: isOn("headless") ?? true,
    gitlab: isOn("gitlab") ?? false,
  };
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Nothing where it is not set. `{env:X}` in opencode.json arrives as a string. */
function onOrOff(name: string, value: unknown): boolean | undefined {
  const text = String(value ?? "").trim();
  if (text === "") return undefined;
  if (["true", "1"].includes(text)) return true;
  if (["false", "0"].includes(text)) return false;
  throw new SettingsError(
    `the option "${name}" (OPENCODE_RELAY_${name.toUpperCase()}) must be true or false`,
  );
}

function relayOrigin(text: string | undefined, env: Environment): string {
  const set = 'set the option "relay" or OPENCODE_RELAY_URL';
  if (!text) throw new SettingsError(`no relay is set: ${set} to its public URL`, "no relay set");
  const url = parseUrl(text);
  if (!url || !isSecure(url)) {
    throw new SettingsError(`the relay must be an https URL (http on loopback only): ${set}`);
  }
  if (text.replace(/\/$/, "") !== url.origin) {
    throw new SettingsError(`the relay must be an origin such as ${url.origin}: ${set}`);
  }
  refuseProxied(url, env);
  return url.origin;
}

function publicOrigin(text: string | undefined): string | undefined {
  if (text === undefined || text === AUTO) return text;
  const set = 'set the option "publicUrl" or OPENCODE_PUBLIC_URL';
  const url = parseUrl(text);
  if (!url || !isSecure(url)) {
    throw new SettingsError(
      `opencode's public URL must be an https URL (http on loopback only) or "auto": ${set}`,
    );
  }
  if (text.replace(/\/$/, "") !== url.origin) {
    throw new SettingsError(
      `opencode's public URL must be an origin such as ${url.origin}; under a path it is not ` +
        `supported: ${set}`,
    );
  }
  return url.origin;
}

function listenAddress(text: string): Address {
  if (/^unix:\/./.test(text)) return { path: text.slice("unix:".length) };
  const [, six, four, digits] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = six ?? four;
  const port = Number(digits);
  if (host && port >= 1 && port <= 65535) return { host, port };
  throw new SettingsError(
    'the option "listen" (OPENCODE_RELAY_LISTEN) must be an address and a port, such as ' +
      "127.0.0.1:4097, or unix:/path",
  );
}

/** Throws `SettingsError` where a proxy would be sent what is for this machine. */
export function refuseProxied(url: URL, env: Environment): void {
  const why = whyProxied(url, env);
  if (why) throw new SettingsError(why);
}

/** True where an option, which a project may have set, names another relay than the environment. */
function isOther(option: string | undefined, variable: string | undefined): boolean {
  return option !== undefined && option.replace(/\/$/, "") !== variable?.replace(/\/$/, "");
}

function keyReader(
  key: string | undefined,
  keyFile: string | undefined,
  envKey: string | undefined,
  envKeyFile: string | undefined,
  isOthers: boolean,
): Settings["key"] {
  const file = keyFile ?? (envKey ? undefined : envKeyFile);
  return async () => {
    if (isOthers && !key && !keyFile && (envKey || envKeyFile)) {
      throw new SettingsError(
        'OPENCODE_RELAY_KEY is sent to no relay that the option "relay" names alone: set ' +
          "OPENCODE_RELAY_URL to that relay too, or the key in the options",
        "key of another relay",
      );
    }
    const text = key ?? (file ? await readKeyFile(file) : envKey);
    // A file of another secret, named by mistake, must not reach the relay. And fetch names a header
    // value that it refuses in its error.
    if (text !== undefined && !/^ocr_[\da-z]{12}_[\dA-Za-z]{38}$/.test(text)) {
      throw new SettingsError(
        "what is set is no instance key: copy it again, one line that begins with ocr_",
        "no instance key",
      );
    }
    return text;
  };
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unreadable";
    throw new SettingsError(
      `the key file ${path} cannot be read (${code}): set "keyFile" or OPENCODE_RELAY_KEY_FILE`,
      "key file unreadable",
    );
  }
}
