/** Polling the relay for the response, and what is done with it. */

import { printable } from "../http.js";
import { collect } from "../relay/collecting.js";
import { KeysUnavailable } from "../relay/sealed.js";
import { NOT_IN_TIME } from "./oauth-login.js";
import type { RelayLogin } from "./relay-login.js";
import { redeemCode, refusal, verify } from "./responses.js";

const OVER: ReadonlyMap<string, string> = new Map([
  ["login-declined", "the sign-in was declined on the relay's page"],
  ["login-expired", NOT_IN_TIME],
  ["login-cancelled", "the relay cancelled the login: begin again"],
  ["login-not-found", "the relay no longer knows the login: begin again"],
]);

/** Seconds; hardly anybody has signed in sooner. */
const FIRST = 8;

/** Asks for the response until the login is over, by whatever way. */
export async function poll(login: RelayLogin): Promise<void> {
  const { discovery, opened, context, target } = login;
  let troubles = 0;
  // A relay that lets nobody wait pays for each question.
  if (opened.maxWait === 0) await login.pause(FIRST);
  while (!login.isOver) {
    if (Date.now() > login.deadline) return login.fail(NOT_IN_TIME);
    const { collectVerifier } = login.secrets;
    const got = await collect(discovery, opened, collectVerifier, opened.maxWait, login.over);
    await target.look(context.log);
    if (login.isOver) return;
    if (got.status === "over") {
      return login.fail(OVER.get(got.slug) ?? `the relay ended the login (${printable(got.slug)})`);
    }
    if (got.status === "pending" || got.status === "held") {
      troubles = 0;
      await login.pause(got.retryAfter);
      continue;
    }
    let why: string;
    if (got.status === "unreachable") {
      why = got.why;
    } else {
      try {
        return await received(login, got.response);
      } catch (error) {
        if (!(error instanceof KeysUnavailable)) return login.fail((error as Error).message);
        why = error.message;
      }
    }
    if (troubles === 0) context.log("warn", `waiting for ${discovery.issuer} (${why})`);
    const asked = got.status === "unreachable" ? got.retryAfter : undefined;
    await login.pause(asked ?? backOff(troubles));
    troubles += 1;
  }
}

/** Seconds: 1, 2, 4, 8, less up to a half. No more, for a code may live for a minute only. */
function backOff(troubles: number): number {
  return Math.min(2 ** troubles, 8) * (1 - Math.random() / 2);
}

/** What the relay released. Throws `KeysUnavailable`, or an error that says why it is refused. */
async function received(login: RelayLogin, sealed: string): Promise<void> {
  const parameters = await verify(login, sealed);
  if (parameters.has("error")) throw new Error(refusal(login, parameters));
  await redeemCode(login, parameters.get("code"));
}
