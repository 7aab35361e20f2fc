/** Which client opencode is at an authorization server, and what that gives it for a code. */

import { exchangeAuthorization, registerClient } from "@modelcontextprotocol/sdk/client/auth.js";
import { OAuthError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import type { OAuthTokens } from "@modelcontextprotocol/sdk/shared/auth.js";

import { isLoopback } from "../http.js";
import { isLifetime, isOfBearer, isToken } from "../idp/tokens.js";
import type { Grant } from "../signin/target.js";
import { McpError, asker, noting } from "./asking.js";
import type { Authority } from "./discovery.js";
import type { McpServer } from "./servers.js";

export interface McpClient {
  readonly id: string;
  readonly secret?: string | undefined;
  /** How it proves itself at the token endpoint, where the registration says so. */
  readonly method?: string | undefined;
  /** Seconds since 1970. */
  readonly issuedAt?: number | undefined;
  readonly secretExpiresAt?: number | undefined;
  readonly redirectUri: string;
}

/** Where answers can come back to. */
interface Addresses {
  /** In the order in which they are tried. */
  readonly redirectUris: readonly string[];
  /** The relay's client ID metadata document, for its own redirect URI. */
  readonly document: string | undefined;
}

/**
 * The configured client, or else one that is registered now (RFC 7591), or else the relay's client
 * ID metadata document. Throws `McpError`.
 */
export async function clientAt(
  server: McpServer,
  authority: Authority,
  { redirectUris, document }: Addresses,
): Promise<McpClient> {
  const { metadata } = authority;
  const redirectUri = redirectUris[0]!;
  if (server.clientId) {
    return { id: server.clientId, secret: server.clientSecret, redirectUri };
  }
  if (metadata.registration_endpoint) return await registered(server, authority, redirectUris);
  if (document && metadata.client_id_metadata_document_supported) {
    return { id: document, redirectUri };
  }
  throw new McpError(
    `${server.title} registers no clients by itself: register one there, with the redirect URI ` +
      `${redirectUri}, and set "oauth": {"clientId": …} of the server in opencode.json`,
  );
}

async function registered(
  server: McpServer,
  authority: Authority,
  redirectUris: readonly string[],
): Promise<McpClient> {
  const refusals: string[] = [];
  const { ask, code } = noting(asker(server.url));
  for (const redirectUri of redirectUris) {
    try {
      const clientMetadata = {
        redirect_uris: [redirectUri],
        // OpenID Connect Registration 2: of a web client, which is the default, localhost is refused.
        application_type: isLoopback(new URL(redirectUri)) ? "native" : "web",
        client_name: "opencode (via relay)",
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: methodAt(authority),
        ...(authority.scope ? { scope: authority.scope } : {}),
      };
      const made = await registerClient(authority.url, {
        metadata: authority.metadata,
        clientMetadata,
        fetchFn: ask,
      });
      return {
        id: made.client_id,
        secret: made.client_secret,
        method: made.token_endpoint_auth_method,
        issuedAt: made.client_id_issued_at,
        secretExpiresAt: made.client_secret_expires_at,
        redirectUri,
      };
    } catch (error) {
      // Whatever it says, it may be the redirect URI: few name it as RFC 7591 does.
      if (!(error instanceof OAuthError)) {
        throw new McpError(`${server.title} registered no client (${why(error, code())})`);
      }
      refusals.push(`${redirectUri} (${code()})`);
    }
  }
  throw new McpError(`${server.title} registers no client for ${refusals.join(", nor for ")}`);
}

/** A public client, as long as that is not ruled out. */
function methodAt({ metadata }: Authority): string {
  const methods = metadata.token_endpoint_auth_methods_supported ?? [];
  if (methods.length === 0 || methods.includes("none")) return "none";
  return methods.find((one) => one.startsWith("client_secret_")) ?? "none";
}

/** Redeems a code, asked once only. Throws `McpError`. */
export async function redeemAt(
  server: McpServer,
  { url, metadata, resource }: Authority,
  client: McpClient,
  grant: Grant,
): Promise<OAuthTokens> {
  const { ask, code } = noting(asker(server.url, 30_000));
  let tokens: OAuthTokens;
  try {
    tokens = await exchangeAuthorization(url, {
      metadata,
      clientInformation: {
        client_id: client.id,
        ...(client.secret ? { client_secret: client.secret } : {}),
        ...(client.method ? { token_endpoint_auth_method: client.method } : {}),
      },
      authorizationCode: grant.code,
      codeVerifier: grant.verifier,
      redirectUri: grant.redirectUri,
      ...(resource ? { resource } : {}),
      fetchFn: ask,
    });
  } catch (error) {
    throw new McpError(
      `${server.title}'s token endpoint refused the code (${why(error, code())})`,
    );
  }
  const { access_token: access, refresh_token: refresh, token_type: type, expires_in: ends } = tokens;
  const fits = isToken(access) && isOfBearer(type) && (!refresh || isToken(refresh));
  if (fits && (ends === undefined || isLifetime(ends))) return tokens;
  // opencode takes the whole of its file for empty where one entry is not as it wants it.
  throw new McpError(`${server.title} gave no token that opencode can use`);
}

/** What went wrong, in no words but ours: others' may quote what was sent, or a secret answered. */
function why(error: unknown, code: string): string {
  if (error instanceof McpError) return error.message;
  return error instanceof OAuthError ? code : "no answer of OAuth's";
}
