/** What the identity provider answered: checked, and its code redeemed. */

import { printable } from "../http.js";
import type { Idp } from "../idp/provider.js";
import { clockDiffers } from "../relay/clocks.js";
import { signingKeys } from "../relay/keys.js";
import { ResponseRefused, openResponse } from "../relay/sealed.js";
import type { OAuthLogin } from "./oauth-login.js";
import type { RelayLogin } from "./relay-login.js";

/**
 * Opens a sealed response with every check, and returns the callback's parameters. Throws
 * `KeysUnavailable`, or an error that says why it is refused.
 */
export async function verify(
  { discovery, opened, secrets, idp }: RelayLogin,
  sealed: string,
): Promise<ReadonlyMap<string, string>> {
  const keys = signingKeys(discovery);
  let parameters: ReadonlyMap<string, string>;
  try {
    parameters = await openResponse(sealed, secrets.keys, keys, discovery.issuer, opened.loginId);
  } catch (error) {
    if (!(error instanceof ResponseRefused)) throw error;
    const clock = clockDiffers(opened.ahead);
    const why = `the relay's response is refused: ${error.message}`;
    throw new ResponseRefused(clock ? `${why}; ${clock}` : why);
  }
  if (!issFits(idp, parameters)) {
    throw new Error(`the response is not from ${printable(idp.issuer)}: its iss ${issOf(parameters)}`);
  }
  return parameters;
}

/** Redeems a code, once, and keeps what it gives. Throws an error that says why not. */
export function redeemCode(login: OAuthLogin, code: string | undefined): Promise<void> {
  return login.exclusively(async () => {
    if (login.isOver) return; // the other way was quicker
    if (!code) throw new Error("the response carries no code");
    const { idp, redirectUri, target, verifier } = login;
    await target.redeem(login, idp, { code, redirectUri, verifier });
  });
}

/** RFC 9207: where the provider is known to send `iss` it must be there, and is never another. */
export function issFits(idp: Idp, parameters: ReadonlyMap<string, string>): boolean {
  const iss = parameters.get("iss");
  return iss === undefined ? !idp.sendsIss : iss === idp.issuer;
}

/** How the response spells its `iss`, for the log. */
export function issOf(parameters: ReadonlyMap<string, string>): string {
  const iss = parameters.get("iss");
  return iss === undefined ? "is missing" : `is ${printable(iss) || "empty"}`;
}

/** What the identity provider answered in place of a code, fit for the log. */
export function refusal({ idp }: RelayLogin, parameters: ReadonlyMap<string, string>): string {
  const more = printable(parameters.get("error_description"));
  return `${printable(idp.issuer)} answered ${printable(parameters.get("error"))}${more ? ` (${more})` : ""}`;
}
