/** Who signs people in to an MCP server, and how: RFC 9728, RFC 8414 or OpenID Connect Discovery. */

import { discoverOAuthServerInfo, extractWWWAuthenticateParams } from "@modelcontextprotocol/sdk/client/auth.js";
import type { AuthorizationServerMetadata } from "@modelcontextprotocol/sdk/shared/auth.js";

import { isNear, whyNot } from "../addresses.js";
import { isSecure, printable } from "../http.js";
import { McpError, asker } from "./asking.js";
import type { McpServer } from "./servers.js";

/** What is known of the authorization server. */
export interface Authority {
  /** Where its metadata was asked for. */
  readonly url: string;
  readonly metadata: AuthorizationServerMetadata;
  /** RFC 8707, where the MCP server says what it is called. */
  readonly resource: string | undefined;
  readonly scope: string | undefined;
  /** RFC 9207. */
  readonly sendsIss: boolean;
}

/** Asks the MCP server, and whom it names. Throws `McpError`. */
export async function authorityOf(server: McpServer): Promise<Authority> {
  const url = new URL(server.url);
  if (!isSecure(url)) {
    throw new McpError(`${server.title} is not on https: its tokens would travel in the clear`);
  }
  // What is asked for here is public.
  [url.username, url.password] = ["", ""];
  const ask = asker(server.url);
  let sendsIss = false;
  let describedAt: URL | undefined;
  const { resourceMetadataUrl, scope } = await challenge(server);
  try {
    const found = await discoverOAuthServerInfo(url, {
      ...(resourceMetadataUrl ? { resourceMetadataUrl } : {}),
      fetchFn: async (...asked) => {
        const answer = await ask(...asked);
        // The resource's comes first.
        if (answer.ok) describedAt ??= new URL(asked[0]);
        // The SDK drops this member of what it finds by OpenID Connect Discovery.
        sendsIss ||= announces(await answer.clone().text());
        return answer;
      },
    });
    const { authorizationServerMetadata: metadata, resourceMetadata } = found;
    if (!metadata) {
      throw new McpError(`${printable(found.authorizationServerUrl)} says nothing of OAuth`);
    }
    isOf(found.authorizationServerUrl, metadata);
    usable(metadata, new URL(server.url), sendsIss);
    const resource = resourceMetadata?.resource;
    if (resource !== undefined) describes(resource, url, describedAt!);
    return {
      url: found.authorizationServerUrl,
      metadata,
      // As the server wrote it: some compare it character by character.
      resource,
      // The configuration's goes first: whoever wrote it had a reason.
      scope: server.scope ?? scope ?? resourceMetadata?.scopes_supported?.join(" "),
      sendsIss,
    };
  } catch (error) {
    throw new McpError(`${server.title} does not say how to sign in: ${why(error)}`);
  }
}

/** What the server answers to somebody who is not signed in. Nothing where it cannot be asked. */
async function challenge(
  server: McpServer,
): Promise<ReturnType<typeof extractWWWAuthenticateParams>> {
  const hello = { jsonrpc: "2.0", id: 1, method: "initialize", params: INITIALIZE };
  try {
    const answer = await asker(server.url)(server.url, {
      method: "POST",
      headers: {
        ...server.headers,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify(hello),
    });
    return answer.status === 401 ? extractWWWAuthenticateParams(answer) : {};
  } catch {
    return {};
  }
}

const INITIALIZE = {
  protocolVersion: "2025-06-18",
  capabilities: {},
  clientInfo: { name: "opencode", version: "1" },
};

function announces(text: string): boolean {
  return /"authorization_response_iss_parameter_supported"\s*:\s*true\b/.test(text);
}

/** RFC 8414 3.3: else it is somebody else's, whose answers would be taken for this one's. */
function isOf(url: string, { issuer }: AuthorizationServerMetadata): void {
  const plain = (text: string): string => text.replace(/\/$/, ""); // some SDKs add one
  if (plain(issuer) === plain(url)) return;
  throw new McpError(`${printable(url)} calls itself ${printable(issuer)}`);
}

function usable(metadata: AuthorizationServerMetadata, by: URL, sendsIss: boolean): void {
  const { response_types_supported: types, code_challenge_methods_supported: methods } = metadata;
  for (const name of ["issuer", ...ENDPOINTS, "registration_endpoint"] as const) {
    const wrong = metadata[name] === undefined ? undefined : whyNot(metadata[name], by);
    if (wrong) throw new McpError(`its ${name} ${wrong}`);
  }
  if (!sendsIss) ENDPOINTS.forEach((name) => isAt(metadata, name));
  if (!types.includes("code")) throw new McpError("its authorization server knows no codes");
  if (methods && !methods.includes("S256")) {
    throw new McpError("its authorization server does not take part in PKCE (RFC 7636)");
  }
}

const ENDPOINTS = ["authorization_endpoint", "token_endpoint"] as const;

/**
 * Without iss nothing tells whose answer it is: metadata with another's authorization endpoint and an
 * own token endpoint would be given that other's codes, verifier and all (RFC 9700 4.4).
 */
function isAt(metadata: AuthorizationServerMetadata, name: (typeof ENDPOINTS)[number]): void {
  const [issuer, endpoint] = [new URL(metadata.issuer), new URL(metadata[name])];
  if (isNear(endpoint, issuer)) return;
  throw new McpError(
    `its ${name} is at ${endpoint.host}, and its issuer at ${issuer.host}: such a server must ` +
      "announce and send iss (RFC 9207), or else its answers may be another's",
  );
}

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/**
 * RFC 9728 3.3: the resource is the server itself, or the one whose metadata was asked for. Tokens
 * for any other would be good for more than this server.
 */
function describes(text: string, url: URL, at: URL): void {
  const resource = new URL(text);
  const plain = ({ origin, pathname }: URL): string => origin + pathname.replace(/\/$/, "");
  const isWellKnown = at.origin === url.origin && at.pathname.startsWith(WELL_KNOWN);
  const asked = isWellKnown ? new URL(at.pathname.slice(WELL_KNOWN.length) || "/", at) : url;
  const isOne = [url, asked].some((one) => plain(one) === plain(resource));
  if (isOne && !whyNot(text, url) && ["", url.search].includes(resource.search)) return;
  throw new McpError("its metadata is that of another resource (RFC 9728 3.3)");
}

/** In no words but ours: others' quote the server's address, which may have a key in it. */
function why(error: unknown): string {
  return error instanceof McpError
    ? error.message
    : "its metadata is none as RFC 9728 and RFC 8414 have it";
}
