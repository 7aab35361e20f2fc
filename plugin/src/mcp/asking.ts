/** Asking an MCP server and its authorization server: what they name is theirs to say. */

import { whyNot } from "../addresses.js";
import { type Unreachable, exchange } from "../http.js";
import { errorCode } from "../idp/provider.js";

/** The MCP server or its authorization server cannot be used; the message says why. */
export class McpError extends Error {}

export type Ask = (url: string | URL, init?: RequestInit) => Promise<Response>;

/**
 * A `fetch` for what an MCP server at `server` names: no redirects, answers bounded in size, and in
 * time by `timeout` in milliseconds. Throws `McpError`.
 *
 * A server elsewhere must not have the services of this machine, or of its network, asked in its place.
 */
export function asker(server: string, timeout = 15_000): Ask {
  const by = new URL(server);
  return async (asked, init) => {
    const url = new URL(asked);
    const why = url.href === by.href ? undefined : whyNot(url.href, by);
    if (why) throw new McpError(`what it names ${why}`);
    const how: RequestInit = { ...init, redirect: "manual" };
    const { answer, text } = await exchange(url, how, timeout).catch((error: Unreachable) => {
      throw new McpError(`${url.origin} cannot be used (${error.message})`);
    });
    const { status, headers } = answer;
    return new Response([204, 304].includes(status) ? null : text, { status, headers });
  };
}

/** The same, and the OAuth error code of the last answer: the SDK knows some codes only. */
export function noting(ask: Ask): { ask: Ask; code: () => string } {
  let code = "";
  return {
    ask: async (...asked) => {
      const answer = await ask(...asked);
      code = errorCode(await answer.clone().json().catch(() => ({})) as Record<string, unknown>);
      return answer;
    },
    code: () => code,
  };
}
