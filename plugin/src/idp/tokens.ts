/** Redeeming an authorization code for tokens. */

import { decodeJwt } from "jose";

import { type Unreachable, printable, request } from "../http.js";
import { IdpError } from "./provider.js";

export interface Tokens {
  readonly access: string;
  readonly refresh: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  readonly accountId: string | undefined;
}

/**
 * Redeems an authorization code (RFC 6749 4.1.3 with RFC 7636). Throws `IdpError`.
 *
 * Asked once only: a code that is sent twice is revoked with everything it gave.
 */
export async function redeem(
  endpoint: string,
  clientId: string,
  grant: { code: string; redirectUri: string; verifier: string },
): Promise<Tokens> {
  const { status, body } = await request(
    endpoint,
    {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: clientId,
        code: grant.code,
        redirect_uri: grant.redirectUri,
        code_verifier: grant.verifier,
      }),
    },
    30_000,
  ).catch((error: Unreachable) => {
    throw new IdpError(`the token endpoint ${endpoint} cannot be reached (${error.message})`);
  });
  const { access_token: access, refresh_token: refresh, expires_in: expiresIn } = body;
  if (status !== 200 || typeof access !== "string" || !access) {
    const error = printable(body["error"]) || "no OAuth error named";
    throw new IdpError(`the token endpoint refused the code (status ${status}, ${error})`);
  }
  if (typeof refresh !== "string" || !refresh) {
    throw new IdpError("no refresh token was given: allow this client offline_access");
  }
  return {
    access,
    refresh,
    expires: Date.now() + (typeof expiresIn === "number" ? expiresIn : 3600) * 1000,
    accountId: accountId(body["id_token"]) ?? accountId(access),
  };
}

/**
 * The account a token belongs to, as ChatGPT names it.
 *
 * Its signature is not checked: the token came from the token endpoint itself, over TLS (OpenID
 * Connect Core 3.1.3.7), and the value is used as a name only.
 */
function accountId(token: unknown): string | undefined {
  if (typeof token !== "string") return undefined;
  let claims: Record<string, unknown>;
  try {
    claims = decodeJwt(token);
  } catch {
    return undefined; // an opaque token names nobody
  }
  const auth = claims["https://api.openai.com/auth"] as Record<string, unknown> | undefined;
  const organizations = claims["organizations"] as { id?: unknown }[] | undefined;
  const candidates = [
    claims["chatgpt_account_id"],
    auth?.["chatgpt_account_id"],
    Array.isArray(organizations) ? organizations[0]?.id : undefined,
  ];
  return candidates.find((id): id is string => typeof id === "string" && id !== "");
}
