/** The MCP servers of opencode's configuration that somebody may have to sign in to. */

import { parseUrl, printable } from "../http.js";
import type { Config } from "../opencode/interface.js";

export interface McpServer {
  /** What the configuration calls it. */
  readonly name: string;
  /** The same, for logs and menus. */
  readonly title: string;
  readonly url: string;
  readonly host: string;
  /** What opencode sends it with every request; may be secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client that is registered there, where the configuration names one. */
  readonly clientId: string | undefined;
  readonly clientSecret: string | undefined;
  readonly scope: string | undefined;
}

/** Those that are remote, switched on, and for which OAuth is not switched off. */
export function serversOf({ mcp }: Config): readonly McpServer[] {
  return Object.entries(mcp ?? {}).flatMap(([name, set]) => {
    const url = set.type === "remote" ? parseUrl(set.url ?? "") : undefined;
    if (!url || set.enabled === false || set.oauth === false) return [];
    const { clientId, clientSecret, scope } = set.oauth ?? {};
    const { host } = url;
    const headers = set.headers ?? {};
    return [{ name, title: printable(name), url: set.url!, host, headers, clientId, clientSecret, scope }];
  });
}

/** Of all that opencode may send a token to, switched on or not: it can be, at any time. */
export function addressesOf({ mcp }: Config): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(mcp ?? {}).flatMap(([name, { type, url, oauth }]) =>
      type === "remote" && url && oauth !== false ? [[name, url] as const] : [],
    ),
  );
}

/**
 * What the relay's pages say that the person signs in with: at most 40 printable characters. `where`
 * is the host that asks them to, where that is another than the server's.
 */
export function shownAs({ name, host }: McpServer, where?: string): string {
  const at = where === undefined ? "" : ` at ${where.slice(-20)}`;
  const both = `${name.replace(/[^\x20-\x7e]+/g, "-")} (${host})`;
  const left = 40 - at.length;
  // The end of a host name says whose it is.
  return (both.length <= left ? both : host.slice(-left)) + at;
}
