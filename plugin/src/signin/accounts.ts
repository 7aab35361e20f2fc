/** The accounts opencode keeps, one for each provider: storing one, and noticing that it is gone. */

import { printable } from "../http.js";
import { type Tokens, accountName } from "../idp/tokens.js";
import type { StoredAuth } from "../opencode/interface.js";
import type { Log } from "../opencode/log.js";
import { type Context, type Login, liveLogins } from "./logins.js";

/** At whom a provider's own refresh finds the account. */
type Issuer = { enterpriseUrl?: string };
type Reader = () => Promise<StoredAuth | undefined>;

/** The place of one provider's account. */
class Slot {
  readonly #provider: string;
  #reader: Reader | undefined;
  /** What the stored account is called, as far as is known. */
  #account: string | undefined;
  /** Whom the id token named that came with this access token: opencode does not store it. */
  #named: { access: string; name: string | undefined } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(provider: string) {
    this.#provider = provider;
  }

  /** opencode hands this function out only while an account is stored, but it goes on working. */
  useReader(read: Reader): void {
    this.#reader = read;
  }

  /**
   * Cancels the logins under way if the account was removed since the last look (Disconnect):
   * whoever disconnects does not expect a login begun before to connect again.
   *
   * opencode tells plugins nothing of a Disconnect, so this is asked whenever something happens.
   */
  look(log: Log): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#reader) return;
      const before = this.#account;
      this.#account = this.#name(await this.#reader());
      if (!before || this.#account) return;
      const logins = liveLogins().filter((login) => login.provider === this.#provider);
      for (const login of logins) login.end({ type: "failed" });
      if (logins.length) {
        log("info", `the account was disconnected: ${logins.length} login(s) cancelled`);
      }
    }).catch(() => undefined);
  }

  /**
   * Stores the account of a login that succeeded and ends it; the log names the account, and the
   * one it replaces. Does nothing if the login was ended meanwhile. Throws if opencode does not
   * store it.
   */
  async store(login: Login, tokens: Tokens, more: Issuer = {}): Promise<void> {
    const { client, log } = login.context;
    await this.look(log);
    await this.#inTurn(async () => {
      if (login.isOver) return;
      const before = this.#account;
      const { access, refresh, expires, accountId } = tokens;
      const auth: StoredAuth = {
        type: "oauth",
        refresh,
        access,
        expires,
        ...(accountId ? { accountId } : {}),
        ...more,
      };
      const stored = await client.auth.set({ path: { id: this.#provider }, body: auth });
      if (stored.error !== undefined) throw new Error("opencode did not store the account");
      this.#named = { access, name: tokens.name };
      this.#account = this.#name(auth);
      log("info", `stored ${this.#account}${before ? `, replaced ${before}` : ""}`);
      login.end({ type: "success" });
    });
    await showModels(login.context);
  }

  #name(auth: StoredAuth | undefined): string | undefined {
    if (!auth) return undefined;
    if (auth.type !== "oauth") return "an API key";
    const name = auth.access === this.#named?.access ? this.#named.name : undefined;
    const known = name ?? accountName(auth.access) ?? printable(auth.accountId);
    return known ? `account ${known}` : "an account whose tokens name nobody";
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => undefined);
    return run;
  }
}

/** At module level: opencode makes the plugin anew whenever it disposes an instance. */
const slots = new Map<string, Slot>();

export function slot(provider: string): Slot {
  let one = slots.get(provider);
  if (!one) slots.set(provider, (one = new Slot(provider)));
  return one;
}

// The models of a provider appear when the instance is made anew.
async function showModels({ client, log }: Context): Promise<void> {
  await client.instance.dispose().catch(() => {
    log("warn", "opencode did not reload: restart it if the models are missing");
  });
}
