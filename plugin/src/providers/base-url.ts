/** Where a gateway is: the `baseURL` of its provider in opencode.json. */

import { isSecure, parseUrl } from "../http.js";
import type { Client, Config } from "../opencode/interface.js";
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

/**
 * Throws `SettingsError` unless opencode's global configuration names the same: a project's
 * opencode.json is whose the project is, and must not lead the token elsewhere.
 */
export async function checkGlobal(base: URL, id: string, client: Client): Promise<void> {
  const asked = client._client.get({ url: "/global/config" });
  const { data } = await asked.catch(() => ({ data: undefined }));
  const { provider } = (data ?? {}) as Config;
  const named = provider?.[id] as { options?: { baseURL?: unknown } } | undefined;
  const url = parseUrl(String(named?.options?.baseURL));
  if (url?.href === base.href) return;
  throw new SettingsError(
    `the token of "${id}" is not sent to ${base.href}: opencode's global configuration names ` +
      `${url ? url.href : "no baseURL"} for that provider. If you trust this one, set it in ` +
      "~/.config/opencode/opencode.json, and not in a project's opencode.json",
  );
}

/** True for what lies below: the same origin, and a path that begins with all of its segments. */
export function isBelow(base: URL, url: URL): boolean {
  const folder = base.pathname.replace(/\/*$/, "/");
  return url.origin === base.origin && `${url.pathname}/`.startsWith(folder);
}
