/** Who signs people in to an MCP server, and how: RFC 9728, RFC 8414 or OpenID Connect Discovery. */

import {
  discoverOAuthServerInfo,
  extractWWWAuthenticateParams,
  selectResourceURL,
} from "@modelcontextprotocol/sdk/client/auth.js";
import type { AuthorizationServerMetadata } from "@modelcontextprotocol/sdk/shared/auth.js";

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
    throw new McpError(`${server.name} is not on https: its tokens would travel in the clear`);
  }
  const ask = asker(server.url);
  let sendsIss = false;
  const { resourceMetadataUrl, scope } = await challenge(server);
  try {
    const found = await discoverOAuthServerInfo(url, {
      ...(resourceMetadataUrl ? { resourceMetadataUrl } : {}),
      fetchFn: async (...asked) => {
        const answer = await ask(...asked);
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
    usable(metadata);
    // The SDK's own flow sends what the server wrote, too: some compare it character by character.
    const fits = await selectResourceURL(url, NO_PROVIDER, resourceMetadata);
    return {
      url: found.authorizationServerUrl,
      metadata,
      resource: fits && resourceMetadata?.resource,
      // The configuration's goes first: whoever wrote it had a reason.
      scope: server.scope ?? scope ?? resourceMetadata?.scopes_supported?.join(" "),
      sendsIss,
    };
  } catch (error) {
    throw new McpError(`${server.name} does not say how to sign in: ${reason(error)}`);
  }
}

/** The SDK looks into it for a `validateResourceURL` of its own. */
const NO_PROVIDER = {} as Parameters<typeof selectResourceURL>[1];

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

function usable(metadata: AuthorizationServerMetadata): void {
  const { response_types_supported: types, code_challenge_methods_supported: methods } = metadata;
  for (const endpoint of [metadata.authorization_endpoint, metadata.token_endpoint]) {
    if (!isSecure(new URL(endpoint))) throw new McpError(`${printable(endpoint)} is not https`);
  }
  if (!types.includes("code")) throw new McpError("its authorization server knows no codes");
  if (methods && !methods.includes("S256")) {
    throw new McpError("its authorization server does not take part in PKCE (RFC 7636)");
  }
}

/** What an error says, in one line; those of the SDK quote what came from outside. */
export function reason(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}
