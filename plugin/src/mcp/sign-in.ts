/** Signing in to one MCP server: opencode finds the tokens where it would have put them itself. */

import { printable } from "../http.js";
import { LOOPBACK_REDIRECT_URI } from "../idp/provider.js";
import type { Client } from "../opencode/interface.js";
import type { Context } from "../signin/logins.js";
import type { Target } from "../signin/target.js";
import { McpError } from "./asking.js";
import { type McpClient, clientAt, redeemAt } from "./clients.js";
import { type Authority, authorityOf } from "./discovery.js";
import { PROVIDER } from "./entry.js";
import { reconnect, refuseSameName } from "./instances.js";
import { type Own, refuseClient, refuseHost } from "./own.js";
import { type McpServer, shownAs } from "./servers.js";
import { store } from "./store.js";

/** `onLocalhost`: the relay's redirect URI is not tried, as where a server refuses it too late. */
export function mcpTarget(
  server: McpServer,
  { client, log }: Context,
  own: Own,
  onLocalhost: boolean,
): Target {
  let found: { authority: Authority; at: McpClient } | undefined;
  let where: string | undefined;
  return {
    provider: PROVIDER,
    account: server.name,
    get name() {
      return shownAs(server, where);
    },
    get where() {
      return where;
    },
    find: async (relay) => {
      await checkVersion(client);
      refuseSameName(server);
      const authority = await authorityOf(server);
      const { metadata, resource, scope, sendsIss } = authority;
      const { host } = new URL(metadata.authorization_endpoint);
      refuseHost(server, metadata.authorization_endpoint, own);
      if (host !== server.host) {
        where = host;
        log("info", `${server.title} (${server.host}) has people sign in at ${host}`);
      }
      const viaRelay = onLocalhost ? undefined : relay;
      const at = await clientAt(server, authority, {
        redirectUris: [...(viaRelay ? [viaRelay.redirectUri] : []), LOOPBACK_REDIRECT_URI],
        document: viaRelay?.clientMetadataUri,
      });
      if (!server.clientId) refuseClient(server, at.id, own);
      found = { authority, at };
      const idp = {
        issuer: metadata.issuer,
        clientId: at.id,
        authorizationEndpoint: metadata.authorization_endpoint,
        tokenEndpoint: metadata.token_endpoint,
        sendsIss,
        parameters: {
          ...(scope ? { scope } : {}),
          // OpenID Connect Core 11: without it a refresh token need not be given.
          ...(scope?.split(" ").includes("offline_access") ? { prompt: "consent" } : {}),
          ...(resource ? { resource } : {}),
        },
      };
      return { idp, redirectUri: at.redirectUri };
    },
    redeem: async (login, _idp, grant) => {
      const { authority, at } = found!;
      refuseSameName(server); // opened meanwhile
      if (server.clientSecret) {
        const { host } = new URL(authority.metadata.token_endpoint);
        login.context.log("info", `${server.title}'s client secret goes to ${host}`);
      }
      const tokens = await redeemAt(server, authority, at, grant);
      if (login.isOver) return;
      await store(server.name, {
        tokens: {
          accessToken: tokens.access_token,
          refreshToken: tokens.refresh_token || undefined,
          expiresAt: expiresAt(tokens.expires_in),
          scope: tokens.scope,
        },
        ...(server.clientId ? {} : { clientInfo: clientInfo(at) }),
        serverUrl: server.url,
      });
      login.context.log("info", `signed in to the MCP server ${server.title}`);
      await reconnect(server);
      login.end({ type: "success" });
    },
    look: async () => undefined,
  };
}

/** Seconds since 1970; with 0 it has expired. */
function expiresAt(expiresIn: number | undefined): number | undefined {
  return expiresIn === undefined ? undefined : Date.now() / 1000 + expiresIn;
}

function clientInfo({ id, secret, issuedAt, secretExpiresAt }: McpClient) {
  return {
    clientId: id,
    clientSecret: secret,
    clientIdIssuedAt: issuedAt,
    clientSecretExpiresAt: secretExpiresAt,
  };
}

/** opencode 2 keeps what MCP servers give it elsewhere: what is not known is not written to. */
async function checkVersion({ _client }: Client): Promise<void> {
  const { data } = await _client.get({ url: "/global/health" }).catch(() => ({ data: undefined }));
  const { version } = (data ?? {}) as { version?: unknown };
  if (/^1\./.test(String(version))) return;
  throw new McpError(
    `opencode ${printable(version)} may keep the logins of MCP servers in a way that this plugin ` +
      "does not know: it signs in to none, update it",
  );
}
