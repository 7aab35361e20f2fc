/** The identity provider (OAuth 2.0 authorization server) and its endpoints. */

import { decodeJwt } from "jose";

import { Unreachable, isSecure, parseUrl, printable, request } from "../http.js";
import { OPENAI_ISSUER, type Settings } from "../settings.js";

/** What ChatGPT's client has registered; nothing listens there on a server. */
export const LOOPBACK_REDIRECT_URI = "http://localhost:1455/auth/callback";

/** The identity provider refuses or cannot be used; the message says why. */
export class IdpError extends Error {}

export interface Idp {
  readonly issuer: string;
  readonly clientId: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  /** True where it is known to send RFC 9207 `iss`: then a response without it is refused. */
  readonly sendsIss: boolean;
  readonly extraParameters: Readonly<Record<string, string>>;
}

export interface Tokens {
  readonly access: string;
  readonly refresh: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
  readonly accountId: string | undefined;
}

/** ChatGPT's endpoints as they are known; any other provider's from its discovery document. */
export async function findIdp({ issuer, clientId }: Settings): Promise<Idp> {
  if (issuer === OPENAI_ISSUER) {
    return {
      issuer,
      clientId,
      authorizationEndpoint: `${issuer}/oauth/authorize`,
      tokenEndpoint: `${issuer}/oauth/token`,
      sendsIss: false,
      extraParameters: {
        id_token_add_organizations: "true",
        codex_cli_simplified_flow: "true",
        originator: "opencode",
      },
    };
  }
  const found = await request(
    `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
  ).catch((error: Unreachable) => {
    throw new IdpError(`${issuer} cannot be reached (${error.message}): check "issuer"`);
  });
  // OpenID Connect Discovery 4.3: another issuer than the one asked is somebody else's document.
  if (found.status !== 200 || found.body["issuer"] !== issuer) {
    throw new IdpError(
      `${issuer} does not answer as the identity provider of that name: check "issuer"`,
    );
  }
  const endpoint = (name: string): string => {
    const url = parseUrl(String(found.body[name]));
    if (!url || !isSecure(url)) throw new IdpError(`${issuer} names no https ${name}`);
    return url.href;
  };
  return {
    issuer,
    clientId,
    authorizationEndpoint: endpoint("authorization_endpoint"),
    tokenEndpoint: endpoint("token_endpoint"),
    sendsIss: found.body["authorization_response_iss_parameter_supported"] === true,
    // OpenID Connect Core 11: without it a refresh token need not be given.
    extraParameters: { prompt: "consent" },
  };
}

/** `challenge` is the S256 code challenge of RFC 7636. */
export function authorizationUrl(
  idp: Idp,
  request: { redirectUri: string; state: string; challenge: string },
): string {
  const url = new URL(idp.authorizationEndpoint);
  const parameters = {
    response_type: "code",
    client_id: idp.clientId,
    redirect_uri: request.redirectUri,
    scope: "openid profile email offline_access",
    code_challenge: request.challenge,
    code_challenge_method: "S256",
    ...idp.extraParameters,
    state: request.state,
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
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
