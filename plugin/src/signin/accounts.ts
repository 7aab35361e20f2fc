/** The one account opencode keeps for the provider: storing it, and noticing that it is gone. */

import { printable } from "../http.js";
import { type Tokens, accountName } from "../idp/tokens.js";
import type { StoredAuth } from "../opencode/interface.js";
import type { Log } from "../opencode/log.js";
import { type Context, type Login, liveLogins } from "./logins.js";

export const PROVIDER = "openai";

type Reader = () => Promise<StoredAuth | undefined>;

let reader: Reader | undefined;
/** What the stored account is called, as far as is known. */
let account: string | undefined;
/** Whom the id token named that came with this access token: opencode does not store it. */
let named: { access: string; name: string | undefined } | undefined;
let turn: Promise<unknown> = Promise.resolve();

/** opencode hands this function out only while an account is stored, but it goes on working. */
export function useReader(read: Reader): void {
  reader = read;
}

/**
 * Cancels the logins under way if the account was removed since the last look (Disconnect):
 * whoever disconnects does not expect a login begun before to connect again.
 *
 * opencode tells plugins nothing of a Disconnect, so this is asked whenever something happens.
 */
export function noticeDisconnect(log: Log): Promise<void> {
  return inTurn(async () => {
    if (!reader) return;
    const before = account;
    account = name(await reader());
    if (!before || account) return;
    const logins = liveLogins();
    for (const login of logins) login.end({ type: "failed" });
    if (logins.length)
      log("info", `the account was disconnected: ${logins.length} login(s) cancelled`);
  }).catch(() => undefined);
}

/**
 * Stores the account of a login that succeeded and ends it; the log names the account, and the one
 * it replaces. Does nothing if the login was ended meanwhile. Throws if opencode does not store it.
 */
export async function storeAccount(login: Login, tokens: Tokens): Promise<void> {
  const { client, log } = login.context;
  await noticeDisconnect(log);
  await inTurn(async () => {
    if (login.isOver) return;
    const before = account;
    const { access, refresh, expires, accountId } = tokens;
    const auth: StoredAuth = {
      type: "oauth",
      refresh,
      access,
      expires,
      ...(accountId ? { accountId } : {}),
    };
    const stored = await client.auth.set({ path: { id: PROVIDER }, body: auth });
    if (stored.error !== undefined) throw new Error("opencode did not store the account");
    named = { access, name: tokens.name };
    account = name(auth);
    log("info", `stored ${account}${before ? `, replaced ${before}` : ""}`);
    login.end({ type: "success" });
  });
  await showModels(login.context);
}

// The models of a provider appear when the instance is made anew.
async function showModels({ client, log }: Context): Promise<void> {
  await client.instance.dispose().catch(() => {
    log("warn", "opencode did not reload: restart it if the models are missing");
  });
}

function name(auth: StoredAuth | undefined): string | undefined {
  if (!auth) return undefined;
  if (auth.type !== "oauth") return "an API key";
  const name = auth.access === named?.access ? named.name : undefined;
  const known = name ?? accountName(auth.access) ?? printable(auth.accountId);
  return known ? `account ${known}` : "an account whose tokens name nobody";
}

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const run = turn.then(work);
  turn = run.catch(() => undefined);
  return run;
}
