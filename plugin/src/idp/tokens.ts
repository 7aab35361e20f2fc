/** Redeeming an authorization code for tokens. */

import { decodeJwt } from "jose";

import { type Unreachable, printable, request } from "../http.js";
import { IdpError, errorCode } from "./provider.js";

export interface Tokens {
  readonly access: string;
  readonly refresh: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  readonly accountId: string | undefined;
  /** What the account is called: its email address, or else its `sub`. */
  readonly name: string | undefined;
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
    throw new IdpError(`the token endpoint refused the code (status ${status}, ${errorCode(body)})`);
  }
  if (typeof refresh !== "string" || !refresh) {
    throw new IdpError("no refresh token was given: allow this client offline_access");
  }
  return {
    access,
    refresh,
    expires: Date.now() + (typeof expiresIn === "number" ? expiresIn : 3600) * 1000,
    accountId: accountId(body["id_token"]) ?? accountId(access),
    name: accountName(body["id_token"]) ?? accountName(access),
  };
}

/**
 * The claims of a token; none of an opaque one.
 *
 * Its signature is not checked: the token came from the token endpoint itself, over TLS (OpenID
 * Connect Core 3.1.3.7), and what it says is used as a name only.
 */
function claimsOf(token: unknown): Readonly<Record<string, unknown>> {
  try {
    return typeof token === "string" ? decodeJwt(token) : {};
  } catch {
    return {};
  }
}

/** What a token's account is called: its email address, or else its `sub`. */
export function accountName(token: unknown): string | undefined {
  const claims = claimsOf(token);
  const profile = claims["https://api.openai.com/profile"] as { email?: unknown } | undefined;
  return [claims["email"], profile?.email, claims["sub"]].map(printable).find((name) => name);
}

/** The account a token belongs to, as ChatGPT names it. */
function accountId(token: unknown): string | undefined {
  const claims = claimsOf(token);
  const auth = claims["https://api.openai.com/auth"] as Record<string, unknown> | undefined;
  const organizations = claims["organizations"] as { id?: unknown }[] | undefined;
  const candidates = [
    claims["chatgpt_account_id"],
    auth?.["chatgpt_account_id"],
    Array.isArray(organizations) ? organizations[0]?.id : undefined,
  ];
  return candidates.find((id): id is string => typeof id === "string" && id !== "");
}
