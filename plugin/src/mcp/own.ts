/** The sign-ins of this opencode that are no MCP server's: none is to be had in the name of one. */

import { printable } from "../http.js";
import { CHATGPT } from "../idp/provider.js";
import type { Options } from "../opencode/interface.js";
import { APPLICATION, CLOUD } from "../providers/gitlab.js";
import type { Environment } from "../settings.js";
import { McpError } from "./asking.js";
import type { McpServer } from "./servers.js";

export interface Own {
  /** Where a sign-in ends with tokens for everything that the account may do there. */
  readonly hosts: ReadonlySet<string>;
  readonly clientIds: ReadonlySet<string>;
}

export function ownSignIns(options: Options, env: Environment): Own {
  const { GITLAB_INSTANCE_URL: gitlab = CLOUD, GITLAB_OAUTH_CLIENT_ID: application = "" } = env;
  const addresses = [CHATGPT.issuer, CLOUD, gitlab].filter((url) => URL.canParse(url));
  const gateways = [options["providers"] ?? []].flat() as ({ clientId?: unknown } | null)[];
  const ids = [CHATGPT.clientId, APPLICATION, application, ...gateways.map((one) => one?.clientId)];
  return {
    hosts: new Set(addresses.map((url) => hostOf(new URL(url)))),
    clientIds: new Set(ids.filter((id) => typeof id === "string" && id !== "") as string[]),
  };
}

/**
 * Throws `McpError` if an MCP server would send the person to sign in to what is not its own.
 *
 * What gateways sign in at is none of `hosts`: a company's MCP servers and gateways often share it.
 */
export function refuseHost(server: McpServer, authorizationEndpoint: string, { hosts }: Own): void {
  const host = hostOf(new URL(authorizationEndpoint));
  if (!hosts.has(host) || host === hostOf(new URL(server.url))) return;
  throw new McpError(
    `${server.title} sends people to ${host}, where what it gets is not for an MCP server: do not ` +
      "sign in to it, and take it out of opencode.json unless you trust it",
  );
}

/** Throws `McpError` if a registration gave a client that was there before, and is another's. */
export function refuseClient(server: McpServer, clientId: string, { clientIds }: Own): void {
  if (!clientIds.has(clientId)) return;
  throw new McpError(
    `${server.title} gave opencode the client ${printable(clientId)}, which is not its own: do not ` +
      "sign in to it, and take it out of opencode.json unless you trust it",
  );
}

/** A dot at the end means the same. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, "");
}
