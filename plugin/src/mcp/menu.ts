/** The question which MCP server it is to be. */

import type { Client, Prompt } from "../opencode/interface.js";
import { asker } from "./asking.js";
import type { McpServer } from "./servers.js";

/** Milliseconds that a server may take. */
const PATIENCE = 4_000;
const NEEDED = "needs a sign-in";
const IN_WORDS: ReadonlyMap<string, string> = new Map([
  ["connected", "connected"],
  ["needs_auth", NEEDED],
  ["needs_client_registration", NEEDED],
  ["failed", "not connected"],
]);

export class Menu {
  readonly #client: Client;
  #statuses: Readonly<Record<string, { status: string } | undefined>> = {};
  #refusing: ReadonlySet<string> = new Set();

  constructor(client: Client) {
    this.#client = client;
  }

  /** opencode reads it at once, so it is answered from what is known, and the next look begins. */
  prompt(servers: readonly McpServer[]): Prompt {
    void this.look(servers);
    const waiting = servers.filter((one) => this.#words(one) === NEEDED);
    const ordered = new Set([...waiting, ...servers]);
    return {
      type: "select",
      key: "server",
      message: "Which MCP server?",
      options: [...ordered].map((one) => {
        const hint = [one.host, this.#words(one)].filter((text) => text).join(", ");
        return { label: one.title, value: one.name, hint };
      }),
    };
  }

  /**
   * Asks opencode what it knows of its servers. Where opencode's own client could not be registered
   * it knows of a failure and no more: such a server is asked itself. Never throws.
   */
  async look(servers: readonly McpServer[]): Promise<void> {
    const { data } = await this.#client.mcp.status().catch(() => ({ data: undefined }));
    if (!data) return;
    this.#statuses = data;
    const failed = servers.filter(({ name }) => data[name]?.status === "failed");
    const refusing = await Promise.all(failed.map(refuses));
    this.#refusing = new Set(failed.filter((_, at) => refusing[at]).map(({ name }) => name));
  }

  #words({ name }: McpServer): string | undefined {
    if (this.#refusing.has(name)) return NEEDED;
    return IN_WORDS.get(this.#statuses[name]?.status ?? "");
  }
}

/** True where a server answers that it wants a sign-in (RFC 9110 15.5.2). */
async function refuses({ url, headers }: McpServer): Promise<boolean> {
  try {
    const { status } = await asker(url, PATIENCE)(url, {
      method: "POST",
      headers: {
        ...headers,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    });
    return status === 401;
  } catch {
    return false;
  }
}
