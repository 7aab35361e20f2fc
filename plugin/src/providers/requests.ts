/** The requests of a gateway's models, with its account's token. */

import { parseUrl } from "../http.js";
import { isBelow } from "./base-url.js";

/** What the SDKs take for a key; it goes nowhere. */
export const PLACEHOLDER = "signed-in-through-opencode-relay";

/** As `fetch`, but what lies below `base`, and nothing else, is sent with the token. */
export function withToken(base: URL, token: () => Promise<string>): typeof fetch {
  return async (input, init = {}) => {
    const asked = input instanceof Request ? input : undefined;
    const headers = new Headers(init.headers ?? asked?.headers);
    for (const [name, value] of [...headers]) {
      if (value.includes(PLACEHOLDER)) headers.delete(name);
    }
    const url = parseUrl(asked?.url ?? String(input));
    if (!url || !isBelow(base, url)) return await fetch(input, { ...init, headers });
    headers.set("authorization", `Bearer ${await token()}`);
    // A redirect would carry the token to an address nobody configured.
    return await fetch(input, { ...init, headers, redirect: "error" });
  };
}
