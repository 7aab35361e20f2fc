/** The plugin in front of a stub relay and identity provider, in the place of opencode. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { chatgpt as plugin } from "../src/index.js";
import type { Authorization, Client, SignInHooks, StoredAuth } from "../src/opencode/interface.js";
import { type Change, StubIdp, type StubLogin, StubRelay } from "./stub.js";

process.env["NO_PROXY"] = "127.0.0.1";

/** ChatGPT's, which nothing that is set can change. */
export const ISSUER = "https://auth.openai.com";
export const CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann";
const DIRECTORY = "/instance";

/** Whom the plugin finds at ChatGPT's address. */
let chatgpt: StubIdp | undefined;
const { fetch } = globalThis;
globalThis.fetch = async (asked, init) => {
  const url = new URL(String(asked));
  if (url.origin === ISSUER && chatgpt) {
    return await fetch(`${chatgpt.origin}${url.pathname}${url.search}`, init);
  }
  assert.equal(url.hostname, "127.0.0.1", "no test asks anybody else");
  return await fetch(url, init);
};

export class Harness implements AsyncDisposable {
  readonly relay = new StubRelay();
  readonly idp = new StubIdp();
  readonly log: string[] = [];
  readonly taken: string[] = [];
  disposals = 0;
  storeFails = false;
  /** The folder of the plugin's socket: of two tests at once each has its own. */
  folder = "";
  stored: StoredAuth | undefined;
  hooks!: SignInHooks;

  readonly client: Client = {
    app: {
      log: async ({ body }) => void this.log.push(`${body.level} ${body.message}`),
    },
    auth: {
      set: async ({ body }) => {
        if (this.storeFails) return { error: {} };
        this.stored = body;
        return {};
      },
    },
    _client: { get: async () => ({ data: { version: "1.18.33" } }) },
    mcp: { status: async () => ({}), connect: async () => undefined },
    instance: { dispose: async () => void (this.disposals += 1) },
    provider: {
      oauth: {
        authorize: async ({ body }) => {
          const { method } = await this.authorize(body.method, body.inputs);
          this.taken.push(method);
        },
      },
    },
  };

  async start(options: Record<string, unknown> = {}): Promise<this> {
    await this.relay.start();
    chatgpt = await this.idp.start();
    await this.load({ relay: this.relay.origin, key: this.relay.key, ...options });
    return this;
  }

  /** Makes the plugin anew, as opencode does with each instance. */
  async load(options: Record<string, unknown>, directory = DIRECTORY): Promise<void> {
    this.hooks = await plugin({ client: this.client, directory }, options);
    await this.hooks.auth.loader(async () => this.stored);
  }

  /** Registers the relay's redirect URI at the identity provider: the method is `auto` then. */
  register(): void {
    this.relay.registered = [{ issuer: ISSUER, client_id: CLIENT_ID }];
  }

  async authorize(method = 0, inputs?: Record<string, string>): Promise<Authorization> {
    const chosen = this.hooks.auth.methods[method]!;
    assert.equal(chosen.type, "oauth");
    return await (chosen as Extract<typeof chosen, { type: "oauth" }>).authorize(inputs);
  }

  async auto(): Promise<Extract<Authorization, { method: "auto" }>> {
    const authorization = await this.authorize();
    assert.equal(authorization.method, "auto");
    return authorization as Extract<Authorization, { method: "auto" }>;
  }

  async code(): Promise<Extract<Authorization, { method: "code" }>> {
    const authorization = await this.authorize();
    assert.equal(authorization.method, "code");
    return authorization as Extract<Authorization, { method: "code" }>;
  }

  /** Begins a sign-in that must fail, and returns what the log says of it. */
  async refused(method = 0): Promise<string> {
    this.log.length = 0;
    await assert.rejects(this.authorize(method));
    assert.equal(this.log.length, 1);
    return this.log[0]!;
  }

  /** The state of a sign-in that no relay knows of. */
  state({ url }: Authorization): string {
    return new URL(url).searchParams.get("state")!;
  }

  /** The address of the page that did not load. */
  page(state: string, parameters: Record<string, string>): string {
    const query = new URLSearchParams({ ...parameters, iss: ISSUER, state });
    return `http://localhost:1455/auth/callback?${query.toString()}`;
  }

  /**
   * Behind a reverse proxy at `publicUrl`: the relay's redirect URI is registered at the identity
   * provider, and the return URLs of `hosts` at the relay.
   */
  async redirecting(publicUrl: string, hosts = [HOST], more = {}): Promise<this> {
    this.folder = await mkdtemp(join(tmpdir(), "relay-"));
    await this.start({ publicUrl, listen: this.listen, ...more });
    this.register();
    this.relay.returnUrls = hosts.map((host) => `https://${host}/auth/callback`);
    return this;
  }

  get listen(): string {
    return `unix:${this.folder}/socket`;
  }

  /** A browser of somebody who came by opencode's own page. */
  browser(host = HOST): Browser {
    return new Browser(`${this.folder}/socket`, host);
  }

  /** Where the relay's page sends the browser, once the identity provider has answered. */
  async back(
    login: StubLogin,
    params: Record<string, unknown>,
    change: Change = {},
  ): Promise<string> {
    const all = { iss: ISSUER, ...params };
    return `/auth/callback?response=${await this.relay.seal(login, all, change)}`;
  }

  get accountId(): string | undefined {
    return this.stored?.type === "oauth" ? this.stored.accountId : undefined;
  }

  logged(pattern: RegExp): boolean {
    return this.log.some((line) => pattern.test(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Disconnect: no login of one test reaches into the next.
    this.stored ??= { type: "api", key: "" };
    await this.hooks.auth.loader(async () => this.stored);
    await this.hooks.auth.loader(async () => undefined);
    await this.relay.stop();
    await this.idp.stop();
    if (this.folder) await rm(this.folder, { recursive: true });
  }
}

export const HOST = "opencode.example";

export interface Shown {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  text: string;
  /** The path and query of the page's first link. */
  link: string;
  location: URL;
}

/** Keeps its cookie, and tells what the reverse proxy tells of it. */
export class Browser {
  cookie: string | undefined;

  constructor(
    readonly socketPath: string,
    readonly host: string,
  ) {}

  async get(path: string, more: Record<string, string> = {}, method = "GET"): Promise<Shown> {
    const headers = {
      host: this.host,
      "x-forwarded-host": this.host,
      "x-forwarded-proto": "https",
      "sec-fetch-site": "same-origin",
      ...(this.cookie ? { cookie: `other=1; ${this.cookie}` } : {}),
      ...more,
    };
    // fetch keeps Host and Sec-Fetch-Site to itself.
    return await new Promise((resolve, reject) => {
      const { socketPath } = this;
      const asked = request({ socketPath, path, method, headers, agent: false }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        answer.on("end", () => {
          const [set] = answer.headers["set-cookie"] ?? [];
          if (set) this.cookie = set.split(";")[0];
          const link = /<a href="([^"]*)"/.exec(text)?.[1] ?? "";
          resolve({
            status: answer.statusCode!,
            headers: answer.headers,
            text,
            link: link.replaceAll("&#38;", "&"),
            location: new URL(answer.headers.location ?? "about:blank"),
          });
        });
      });
      asked.on("error", reject).end();
    });
  }

  /** From another site, or from no page at all. */
  async from(site: string, path: string): Promise<Shown> {
    return await this.get(path, { "sec-fetch-site": site });
  }
}

/** Waits until something holds that another task brings about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
