/** The access token of a gateway's account: the one that is stored, or a new one. */

import { setTimeout as sleep } from "node:timers/promises";

import { findIdp } from "../idp/provider.js";
import { GrantRefused, refresh } from "../idp/tokens.js";
import type { Client, StoredAuth } from "../opencode/interface.js";
import { withLock } from "../opencode/lock.js";
import type { Log } from "../opencode/log.js";
import type { Gateway } from "./option.js";

/** opencode's auth.json has all accounts, is written as a whole, and opencode itself locks it not. */
export const AUTH_JSON = "opencode-relay:auth.json";

/** Milliseconds before its end in which a token is not used any more. */
const EARLY = 30_000;

/** The stored account cannot be used: the person has to sign in again. */
export class SignedOut extends Error {}

type Account = Extract<StoredAuth, { type: "oauth" }>;
export type Reader = () => Promise<StoredAuth | undefined>;

/** Throws `SignedOut`, or `IdpError` where another try may succeed. */
export async function accessToken(
  gateway: Gateway,
  read: Reader,
  client: Client,
  log: Log,
): Promise<string> {
  const account = await stored(gateway, read);
  if (isFresh(account)) return account.access;
  return await withLock(AUTH_JSON, () => refreshed(gateway, read, client, log));
}

async function refreshed(
  gateway: Gateway,
  read: Reader,
  client: Client,
  log: Log,
): Promise<string> {
  const before = await stored(gateway, read);
  if (isFresh(before)) return before.access; // another request was quicker
  if (!before.refresh) throw new SignedOut(again(gateway, "its time is over"));
  const { tokenEndpoint } = await findIdp(gateway, {});
  const tokens = await refresh(tokenEndpoint, gateway.clientId, before.refresh).catch(
    (error: Error) => {
      if (!(error instanceof GrantRefused)) throw error;
      throw new SignedOut(again(gateway, error.message));
    },
  );
  const now = await stored(gateway, read);
  if (now.refresh !== before.refresh) return now.access; // of a sign-in meanwhile
  const { access, expires } = tokens;
  const body = { ...before, access, refresh: tokens.refresh, expires };
  const answer = await client.auth.set({ path: { id: gateway.id }, body });
  if (answer.error !== undefined) {
    log("error", `opencode did not store the new token of ${gateway.name}: it will ask to sign in again`);
  }
  return access;
}

/** The account, if it is of this identity provider. Throws `SignedOut`. */
async function stored(gateway: Gateway, read: Reader): Promise<Account> {
  let found = await read();
  // While auth.json is written opencode takes it for empty.
  for (let looks = 0; !found && looks < 3; looks += 1) {
    await sleep(20);
    found = await read();
  }
  if (found?.type !== "oauth") throw new SignedOut(again(gateway, "nobody is signed in"));
  // Its refresh token is for nobody else to see.
  if (found.enterpriseUrl !== gateway.issuer) {
    throw new SignedOut(again(gateway, "the stored account is of another issuer"));
  }
  return found;
}

function isFresh({ expires }: Account): boolean {
  return Date.now() < expires - EARLY;
}

function again({ id, name }: Gateway, why: string): string {
  return `the sign-in with ${name} does not count any more (${why}): sign in again, in opencode under Settings, Providers, or with: opencode auth login --provider ${id}`;
}
