/** The question which MCP server it is to be. */

import type { Client, Prompt } from "../opencode/interface.js";
import type { McpServer } from "./servers.js";

const IN_WORDS: ReadonlyMap<string, string> = new Map([
  ["connected", "connected"],
  ["needs_auth", "needs a sign-in"],
  ["needs_client_registration", "needs a sign-in"],
  ["failed", "not connected"],
]);

export class Menu {
  readonly #client: Client;
  #statuses: Readonly<Record<string, { status: string } | undefined>> = {};

  constructor(client: Client) {
    this.#client = client;
  }

  /** opencode reads it at once, so it is answered from what is known, and the next look begins. */
  prompt(servers: readonly McpServer[]): Prompt {
    void this.look();
    const waiting = servers.filter((one) => this.#words(one) === "needs a sign-in");
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

  /** Asks opencode what it knows of its servers. Never throws. */
  async look(): Promise<void> {
    const { data } = await this.#client.mcp.status().catch(() => ({ data: undefined }));
    this.#statuses = data ?? this.#statuses;
  }

  #words({ name }: McpServer): string | undefined {
    return IN_WORDS.get(this.#statuses[name]?.status ?? "");
  }
}
