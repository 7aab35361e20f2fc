/**
 * The instances of opencode, one for each open directory, each with connections to MCP servers of its
 * own. At module level: opencode makes the plugin anew for each of them.
 */

import { setTimeout as sleep } from "node:timers/promises";

import { printable } from "../http.js";
import type { Context } from "../signin/logins.js";
import { McpError } from "./asking.js";
import type { McpServer } from "./servers.js";

export interface Instance {
  readonly context: Context;
  readonly servers: readonly McpServer[];
}

const instances = new Map<string, Instance>();

export function opened(instance: Instance): void {
  instances.set(instance.context.directory, instance);
}

export function closed(directory: string): void {
  instances.delete(directory);
}

/** Throws `McpError` where an open project has another server of the same name. */
export function refuseSameName({ name, title, url }: McpServer): void {
  const other = [...instances.values()].find(({ servers }) =>
    servers.some((one) => one.name === name && one.url !== url),
  );
  if (!other) return;
  throw new McpError(
    `${title} is another server in ${printable(other.context.directory)}, which is open too: opencode ` +
      "would send the one what the other gives. Give one of them another name in its opencode.json",
  );
}

/** Milliseconds after which nobody is kept waiting for a server. */
const PATIENCE = 10_000;

/** Connects the server anew wherever it is used; the log says where that did not work. */
export async function reconnect({ name, title, url }: McpServer): Promise<void> {
  const users = [...instances.values()].filter(({ servers }) =>
    servers.some((one) => one.name === name && one.url === url),
  );
  const all = users.map(async ({ context: { client, directory, log } }) => {
    const { data } = await client.mcp
      .connect({ path: { name } })
      .then(() => client.mcp.status())
      .catch(() => ({ data: undefined }));
    const { status = "unknown" } = data?.[name] ?? {};
    if (status !== "connected") {
      log("warn", `${title} is signed in to, but in ${directory} its status is ${status}`);
    }
  });
  await Promise.race([Promise.all(all), sleep(PATIENCE, undefined, { ref: false })]);
}
