/** Where a gateway is: the `baseURL` of its provider in opencode.json. */

import { isSecure, parseUrl } from "../http.js";
import type { Config } from "../opencode/interface.js";
import { type Environment, SettingsError, refuseProxied } from "../settings.js";

/** Nothing where opencode.json has no such provider. Throws `SettingsError` if its URL is not usable. */
export function baseUrl({ provider }: Config, id: string, env: Environment): URL | undefined {
  if (!provider || !Object.hasOwn(provider, id)) return undefined;
  const { options } = (provider[id] ?? {}) as { options?: { baseURL?: unknown } };
  const text = options?.baseURL;
  const url = typeof text === "string" ? parseUrl(text) : undefined;
  if (!url || !isSecure(url) || url.username || url.password || url.search || url.hash) {
    throw new SettingsError(
      `the provider "${id}" in opencode.json has no baseURL of its own, to which alone its token ` +
        'may go: set "options": {"baseURL": "https://…"} there (http on loopback only)',
      "no baseURL",
    );
  }
  refuseProxied(url, env);
  return url;
}

/** True for what lies below: the same origin, and a path that begins with all of its segments. */
export function isBelow(base: URL, url: URL): boolean {
  const folder = base.pathname.replace(/\/*$/, "/");
  return url.origin === base.origin && `${url.pathname}/`.startsWith(folder);
}
