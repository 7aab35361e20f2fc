/** What the token endpoint gives for a code, or for a refresh token. */

import { decodeJwt } from "jose";

import { type Unreachable, printable, request } from "../http.js";
import { IdpError, errorCode } from "./provider.js";

export interface Tokens {
  readonly access: string;
  /** Empty where none was given. */
  readonly refresh: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  readonly accountId: string | undefined;
  /** What the account is called: its email address, or else its `sub`. */
  readonly name: string | undefined;
  /** As it came: not checked. */
  readonly idToken: unknown;
}

/** The identity provider answered, and gives no tokens. */
export class GrantRefused extends IdpError {}

/**
 * Redeems an authorization code. Throws `IdpError`, also where no refresh token is given, unless
 * that is allowed.
 *
 * Asked once only: a code that is sent twice is revoked with everything it gave.
 */
export async function redeem(
  endpoint: string,
  clientId: string,
  grant: { code: string; redirectUri: string; verifier: string },
  { mayEnd = false } = {},
): Promise<Tokens> {
  const tokens = await ask(endpoint, "the code", {
    grant_type: "authorization_code",
    client_id: clientId,
    code: grant.code,
    redirect_uri: grant.redirectUri,
    code_verifier: grant.verifier,
  });
  if (!tokens.refresh && !mayEnd) {
    throw new IdpError("no refresh token was given: allow this client offline_access");
  }
  return tokens;
}

/** Refreshes (RFC 6749 6). Throws `GrantRefused`, and `IdpError` where another try may succeed. */
export async function refresh(endpoint: string, clientId: string, token: string): Promise<Tokens> {
  const tokens = await ask(endpoint, "the refresh token", {
    grant_type: "refresh_token",
    client_id: clientId,
    refresh_token: token,
  });
  return tokens.refresh ? tokens : { ...tokens, refresh: token };
}

async function ask(endpoint: string, what: string, form: Record<string, string>): Promise<Tokens> {
  const { status, body } = await request(
    endpoint,
    { method: "POST", body: new URLSearchParams(form) },
    30_000,
  ).catch((error: Unreachable) => {
    throw new IdpError(`the token endpoint ${endpoint} cannot be reached (${error.message})`);
  });
  const { access_token: access, refresh_token: refresh, expires_in: expiresIn } = body;
  // Some leave out its type.
  const isBearer = isOfBearer(body["token_type"] ?? "Bearer");
  if (status !== 200 || !isToken(access) || !isBearer) {
    const why = `the token endpoint refused ${what} (status ${status}, ${errorCode(body)})`;
    const isFinal = status < 500 && status !== 408 && status !== 429;
    throw isFinal ? new GrantRefused(why) : new IdpError(why);
  }
  return {
    access,
    refresh: isToken(refresh) ? refresh : "",
    expires: Date.now() + (isLifetime(expiresIn) ? expiresIn : 3600) * 1000,
    accountId: accountId(body["id_token"]) ?? accountId(access),
    name: accountName(body["id_token"]) ?? accountName(access),
    idToken: body["id_token"],
  };
}

/**
 * True for what a header field takes: fetch names a value that it refuses in its error, and servers
 * refuse one of more than some kilobytes.
 */
export function isToken(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]{1,16384}$/.test(value);
}

/** RFC 6750: a token of another type is good for nothing without more than the token. */
export function isOfBearer(type: unknown): boolean {
  return typeof type === "string" && type.toLowerCase() === "bearer";
}

/** Seconds that can be stored: JSON has no infinity. */
export function isLifetime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER / 1000;
}

/**
 * The claims of a token; none of an opaque one.
 *
 * Its signature is not checked: the token came from the token endpoint itself, over TLS (OpenID
 * Connect Core 3.1.3.7), and what it says is used as a name only, or checked by `checkIdToken`.
 */
export function claimsOf(token: unknown): Readonly<Record<string, unknown>> {
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
