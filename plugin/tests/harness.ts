/** The plugin in front of a stub relay and identity provider, in the place of opencode. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import plugin from "../src/index.js";
import type { Authorization, Client, Hooks, StoredAuth } from "../src/opencode.js";
import { StubIdp, StubRelay } from "./stub.js";

process.env["NO_PROXY"] = "127.0.0.1";

export const CLIENT_ID = "client-1";
const DIRECTORY = "/instance";

export class Harness implements AsyncDisposable {
  readonly relay = new StubRelay();
  readonly idp = new StubIdp();
  readonly log: string[] = [];
  readonly taken: string[] = [];
  disposals = 0;
  storeFails = false;
  stored: StoredAuth | undefined;
  hooks!: Hooks;

  readonly #client: Client = {
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

  async start(options: Record<string, string> = {}): Promise<this> {
    await this.relay.start();
    await this.idp.start();
    await this.load({
      relay: this.relay.origin,
      key: this.relay.key,
      issuer: this.idp.origin,
      clientId: CLIENT_ID,
      ...options,
    });
    return this;
  }

  /** Makes the plugin anew, as opencode does with each instance. */
  async load(options: Record<string, string>): Promise<void> {
    this.hooks = await plugin.server({ client: this.#client, directory: DIRECTORY }, options);
    await this.hooks.auth.loader(async () => this.stored);
  }

  /** Registers the relay's redirect URI at the identity provider: the method is `auto` then. */
  register(): void {
    this.relay.registered = [{ issuer: this.idp.origin, client_id: CLIENT_ID }];
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

  /** The address of the page that did not load. */
  page(state: string, parameters: Record<string, string>): string {
    const query = new URLSearchParams({ ...parameters, iss: this.idp.origin, state });
    return `http://localhost:1455/auth/callback?${query.toString()}`;
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
  }
}

/** Waits until something holds that another task brings about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
