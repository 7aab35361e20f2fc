/** The MCP servers of opencode's configuration that somebody may have to sign in to. */

import { parseUrl } from "../http.js";
import type { Config } from "../opencode/interface.js";

export interface McpServer {
  /** What the configuration calls it. */
  readonly name: string;
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
    return [{ name, url: set.url!, host, headers, clientId, clientSecret, scope }];
  });
}

/** What the relay's pages say that the person signs in with: at most 40 printable characters. */
export function shownAs({ name, host }: McpServer): string {
  const plain = name.replace(/[^\x20-\x7e]+/g, "-");
  const both = `${plain} (${host})`;
  return both.length <= 40 ? both : host.slice(-40);
}
