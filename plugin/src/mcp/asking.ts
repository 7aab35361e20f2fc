/** Asking an MCP server and its authorization server: what they name is theirs to say. */

import { isLoopback, isSecure } from "../http.js";
import { errorCode } from "../idp/provider.js";

/** The MCP server or its authorization server cannot be used; the message says why. */
export class McpError extends Error {}

export type Ask = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** Bytes; metadata and tokens are some thousand. */
const LONGEST = 1_000_000;

/**
 * A `fetch` for what an MCP server at `server` names: https (http to loopback only), no redirects,
 * answers bounded in size, and in time by `timeout` in milliseconds.
 *
 * A server elsewhere must not have this machine's own services asked in its place.
 */
export function asker(server: string, timeout = 15_000): Ask {
  const local = isLoopback(new URL(server));
  return async (asked, init) => {
    const url = new URL(asked);
    if (!isSecure(url)) throw new McpError(`${url.origin} is not https`);
    if (isLoopback(url) && !local) throw new McpError(`${url.origin} is this machine's own`);
    const signal = AbortSignal.timeout(timeout);
    const answer = await fetch(url, { ...init, redirect: "manual", signal });
    const body = await bounded(answer);
    const { status, headers } = answer;
    return new Response([204, 304].includes(status) ? null : body, { status, headers });
  };
}

async function bounded(answer: Response): Promise<Blob> {
  const parts: BlobPart[] = [];
  let length = 0;
  for await (const part of answer.body ?? []) {
    length += part.length;
    if (length > LONGEST) throw new McpError(`${new URL(answer.url).origin} answers with too much`);
    parts.push(part);
  }
  return new Blob(parts);
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
