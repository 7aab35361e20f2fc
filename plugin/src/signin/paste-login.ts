/**
 * A login whose page fails to load on localhost, and is pasted. It needs no relay, so none is told
 * of it: its state is a random one, which no helper in a browser carries on.
 */

import type { Context } from "./logins.js";
import { OAuthLogin } from "./oauth-login.js";
import type { Found, Target } from "./target.js";
import { randomText } from "./verifiers.js";

/** Seconds. */
const LIFETIME = 600;

export class PasteLogin extends OAuthLogin {
  readonly state = randomText();
  readonly byCode = true;
}

export function beginPaste(
  context: Context,
  target: Target,
  { idp, redirectUri }: Found,
): PasteLogin {
  const login = new PasteLogin(context, target, idp, redirectUri, LIFETIME);
  void login.watch();
  return login;
}
