/** `/auth/callback`: the browser comes back with the sealed response. */

import { KeysUnavailable, ResponseRefused, recipient } from "../relay/sealed.js";
import { pastLogin, redirectLogins } from "../signin/redirect-login.js";
import { redeemCode, refusal, verify } from "../signin/responses.js";
import type { Answer } from "./page.js";
import * as pages from "./pages.js";
import type { Visit } from "./visit.js";

export async function callback({ parameters, browser }: Visit): Promise<Answer> {
  const sealed = parameters?.get("response");
  if (!sealed || parameters?.size !== 1) return pages.refusal("malformed");
  const kid = recipient(sealed);
  if (!kid) return pages.refusal("malformed");
  const login = redirectLogins().find((one) => one.secrets.keys.thumbprint === kid);
  if (!login) return again(kid, browser);
  // Before anything is decrypted: another browser's response may carry another person's code.
  if (!login.belongsTo(browser)) {
    login.context.log("warn", "a response is refused: another browser began this login");
    return pages.refusal("wrongBrowser");
  }
  let answer: ReadonlyMap<string, string>;
  try {
    answer = await verify(login, sealed);
  } catch (error) {
    if (login.isOver) return pages.refusal("over", login);
    const { message } = error as Error;
    login.context.log("warn", message);
    // Another error's message may quote what came from outside.
    const why = error instanceof ResponseRefused ? message : undefined;
    if (!(error instanceof KeysUnavailable)) return pages.refusal("refused", login, {}, why);
    return pages.refusal("keysUnavailable", login, { "retry-after": "5" });
  }
  if (answer.has("error")) {
    login.fail(refusal(login, answer));
    return pages.idpError(login, answer.get("error"));
  }
  // Of two at once, such as a reload, one is redeemed and both wait for its end.
  let why: string | undefined;
  redeemCode(login, answer.get("code")).catch((error: Error) => login.fail((why = error.message)));
  const { type } = await login.ended;
  return type === "success" ? pages.done(login) : pages.refusal("failed", login, {}, why);
}

/** A reload, a tab that was restored. */
function again(kid: string, browser: string | undefined): Answer {
  const past = pastLogin(kid, browser);
  if (past?.type === "success") return pages.done(past.login);
  return pages.refusal(past?.login.wasLate ? "late" : "over", past?.login);
}
