/** The option `providers`: gateways of one's own, each behind an identity provider of its own. */

import { isSecure, parseUrl } from "../http.js";
import { type Environment, SettingsError, refuseProxied } from "../settings.js";

export interface Gateway {
  /** Of the provider in opencode.json. */
  readonly id: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
  /** Whom the person signs in with. */
  readonly name: string;
}

const MEMBERS = ["id", "issuer", "clientId", "scope", "name"];
const SCOPE = "openid email offline_access";

/** Which opencode itself signs in to, or asks in a way of its own; and this plugin's own line. */
export const OPENCODES_OWN = [
  ...["amazon-bedrock", "anthropic", "azure", "azure-cognitive-services", "cerebras"],
  ...["cloudflare-ai-gateway", "cloudflare-workers-ai", "digitalocean", "github-copilot", "gitlab"],
  ...["google-vertex", "google-vertex-anthropic", "kilo", "llmgateway", "mcp-servers", "meta"],
  ...["nvidia", "openai", "opencode", "openrouter", "poe", "sap-ai-core", "snowflake-cortex"],
  ...["vercel", "xai", "zenmux"],
];

/** How many one opencode may have: each takes an export of the plugin. */
export const MOST = 8;

/** The entry at a place in the list, if there is one. Throws `SettingsError`. */
export function readGateway(
  list: unknown,
  place: number,
  env: Environment,
): Gateway | undefined {
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) {
    throw new SettingsError('the option "providers" must be a list: [{"id", "issuer", "clientId"}]');
  }
  if (list.length > MOST) {
    throw new SettingsError(`the option "providers" has ${list.length} entries: ${MOST} may be set`);
  }
  if (place >= list.length) return undefined;
  const entry: unknown = list[place];
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    throw new SettingsError(`entry ${place + 1} of the option "providers" is no object`);
  }
  const wrong = (what: string) =>
    new SettingsError(`entry ${place + 1} of the option "providers": ${what}`);
  for (const [name, value] of Object.entries(entry)) {
    if (!MEMBERS.includes(name)) throw wrong(`"${name}" is unknown: known are ${MEMBERS.join(", ")}`);
    if (typeof value !== "string") throw wrong(`"${name}" must be a string`);
  }
  // An unset {env:X} in opencode.json arrives as "", which counts as not set.
  const text = (name: string) => ((entry as Record<string, string>)[name] ?? "").trim();
  const id = text("id");
  if (!/^[a-z\d][a-z\d._-]{0,63}$/.test(id)) {
    throw wrong('"id" must be that of a provider in opencode.json, such as "my-gateway"');
  }
  if (OPENCODES_OWN.includes(id)) {
    throw wrong(
      `"${id}" is taken by opencode, or by this plugin, for something else: give the provider in ` +
        'opencode.json an id of its own, such as "my-gateway"',
    );
  }
  if (list.slice(0, place).some((other: Partial<Gateway> | null) => other?.id?.trim?.() === id)) {
    throw wrong(`"${id}" has an entry before`);
  }
  const issuer = issuerOf(text("issuer"));
  if (!issuer) {
    throw wrong('"issuer" must be the https URL (http on loopback only) by which the identity provider calls itself');
  }
  refuseProxied(new URL(issuer), env);
  const clientId = text("clientId");
  if (!/^[\x20-\x7e]+$/.test(clientId)) throw wrong('"clientId" must be set');
  const scope = text("scope") || SCOPE;
  // RFC 6749 3.3
  if (!/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(scope)) {
    throw wrong('"scope" must be words with one space between them');
  }
  const name = text("name").normalize("NFC") || new URL(issuer).host.slice(0, 40);
  if (!/^[\p{L}\p{N}\p{P}\p{S} ]{1,40}$/u.test(name)) {
    throw wrong('"name" must have 1 to 40 printable characters');
  }
  return { id, issuer, clientId, scope, name };
}

/** As it is written: identity providers are compared character by character. */
function issuerOf(text: string): string | undefined {
  const url = parseUrl(text);
  return url && isSecure(url) && !url.username && !url.password && !/[?#\s]/.test(text)
    ? text
    : undefined;
}
