/** The identity provider (OAuth 2.0 authorization server) and its endpoints. */

import { whyNot } from "../addresses.js";
import { type Answer, type Unreachable, printable, request } from "../http.js";

/** What clients have registered that were made for one's own computer; nothing listens there. */
export const LOOPBACK_REDIRECT_URI = "http://localhost:1455/auth/callback";

/** The identity provider refuses or cannot be used; the message says why. */
export class IdpError extends Error {}

/** An identity provider, and whom it knows us as. */
export interface OAuthClient {
  readonly issuer: string;
  readonly clientId: string;
}

export interface Idp extends OAuthClient {
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  /** True where it is known to send RFC 9207 `iss`: then a response without it is refused. */
  readonly sendsIss: boolean;
  /** What the authorization request carries besides, such as its scope. */
  readonly parameters: Readonly<Record<string, string>>;
}

export const CHATGPT: Idp = {
  issuer: "https://auth.openai.com",
  clientId: "app_EMoamEEZ73f0CkXaXp7hrann",
  authorizationEndpoint: "https://auth.openai.com/oauth/authorize",
  tokenEndpoint: "https://auth.openai.com/oauth/token",
  sendsIss: false,
  parameters: {
    scope: "openid profile email offline_access",
    id_token_add_organizations: "true",
    codex_cli_simplified_flow: "true",
    originator: "opencode",
  },
};

/** A provider by what it says of itself (OpenID Connect Discovery, RFC 8414). Throws `IdpError`. */
export async function findIdp(
  { issuer, clientId }: OAuthClient,
  parameters: Idp["parameters"],
): Promise<Idp> {
  const found = await metadata(issuer);
  const endpoint = (name: string): string => {
    const why = whyNot(found[name], new URL(issuer));
    if (why) throw new IdpError(`the ${name} that ${issuer} names ${why}`);
    return String(found[name]);
  };
  return {
    issuer,
    clientId,
    authorizationEndpoint: endpoint("authorization_endpoint"),
    tokenEndpoint: endpoint("token_endpoint"),
    sendsIss: found["authorization_response_iss_parameter_supported"] === true,
    parameters,
  };
}

async function metadata(issuer: string): Promise<Answer["body"]> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  const documents = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  let named = "";
  for (const document of documents) {
    const { status, body } = await request(document).catch((error: Unreachable) => {
      throw new IdpError(`${issuer} cannot be reached (${error.message}): check "issuer"`);
    });
    // Another issuer than the one asked: it is somebody else's document (RFC 8414 3.3).
    if (status === 200 && body["issuer"] === issuer) return body;
    named ||= printable(body["issuer"]);
  }
  throw new IdpError(
    `${issuer} does not answer as the identity provider of that name: check "issuer"` +
      (named ? `, which it spells ${named}` : ""),
  );
}

/**
 * What went wrong, by the provider's own code; some send an object in place of a string.
 *
 * A code and no sentence: pages show it, on which nobody from outside is to have their say.
 */
export function errorCode({ error }: Readonly<Record<string, unknown>>): string {
  const { code } = (typeof error === "object" && error !== null ? error : {}) as { code?: unknown };
  const codes = [error, code].map(printable);
  return codes.find((one) => /^[\w.:-]{1,64}$/.test(one)) ?? "no OAuth error named";
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
    code_challenge: request.challenge,
    code_challenge_method: "S256",
    ...idp.parameters,
    state: request.state,
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  // As RFC 3986 lets a query have them: of a short link a terminal of 80 by 24 shows more.
  url.search = url.search.replaceAll("%3A", ":").replaceAll("%2F", "/");
  return url.href;
}
