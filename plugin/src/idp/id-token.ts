/** The id token of a sign-in (OpenID Connect Core 1.0). */

import { printable } from "../http.js";
import { type OAuthClient, IdpError } from "./provider.js";
import { claimsOf } from "./tokens.js";

/** Milliseconds that two clocks may differ. */
const LEEWAY = 120_000;

/**
 * Throws `IdpError` unless the token was made by this issuer, for this client and this sign-in.
 *
 * Its signature is not checked: the token came from the token endpoint itself, over TLS (section
 * 3.1.3.7, 6).
 */
export function checkIdToken(token: unknown, { issuer, clientId }: OAuthClient, nonce: string): void {
  if (token === undefined) throw refused("there is none, though openid was asked for");
  const claims = claimsOf(token);
  if (claims["iss"] !== issuer) throw refused(`its iss is ${printable(claims["iss"]) || "missing"}`);
  const audiences = [claims["aud"]].flat();
  const isOurs = audiences.length === 1 || claims["azp"] === clientId;
  if (!audiences.includes(clientId) || !isOurs) throw refused("it is for another client");
  const expires = claims["exp"];
  if (typeof expires !== "number" || expires * 1000 < Date.now() - LEEWAY) {
    throw refused("it has expired, or opencode's clock is wrong");
  }
  // Of another sign-in: somebody may have put their code in the place of this one's.
  if (claims["nonce"] !== nonce) throw refused("its nonce is not that of this sign-in");
}

function refused(why: string): IdpError {
  return new IdpError(`the id token is refused: ${why}`);
}
