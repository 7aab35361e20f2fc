/** What a request tells of the browser that sent it. */

import type { IncomingMessage } from "node:http";

import { isSecure, parseUrl } from "../http.js";
import { fields, items } from "./fields.js";

/**
 * `__Host-`: no neighbouring name or path can set it, and it goes back to this host alone. Another
 * port of this very name can.
 */
const COOKIE = "__Host-opencode-relay";
/** Seconds; longer than any login lives. */
const COOKIE_LIFE = 3600;

export interface Visit {
  readonly path: string;
  /** Nothing where one of them came twice, or garbled. */
  readonly parameters: ReadonlyMap<string, string> | undefined;
  /** This browser's own random value, if it has been here. */
  readonly browser: string | undefined;
  /** True where two values claim to be this browser's: somebody else set one of them. */
  readonly isDoubled: boolean;
  /** True if a page of this very origin led here. */
  readonly sameOrigin: boolean;
  /** The address that the browser used, an origin; https, or http on loopback. */
  readonly origin: string | undefined;
}

export function visitOf(request: IncomingMessage): Visit {
  const [path = "", query = ""] = (request.url ?? "").split(/\?(.*)/s);
  const cookies = cookiesOf(request);
  const [browser] = cookies;
  return {
    path,
    parameters: parametersOf(query),
    browser: cookies.length === 1 && /^[\w-]{43}$/.test(browser!) ? browser : undefined,
    isDoubled: cookies.length > 1,
    sameOrigin: fields(request, "sec-fetch-site").join() === "same-origin",
    origin: originOf(request),
  };
}

/** `Set-Cookie` with this browser's value. Lax: it comes along when another site leads back. */
export function cookie(browser: string): string {
  return `${COOKIE}=${browser}; Path=/; Max-Age=${COOKIE_LIFE}; Secure; HttpOnly; SameSite=Lax`;
}

/** `Sec-Purpose` is the standard's; before it came Opera's and Chromium's, Safari's, Firefox's. */
const PURPOSES = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/** True where a browser says that nobody has asked for the page yet: a prefetch, or a preview. */
export function isEarly(request: IncomingMessage): boolean {
  const purposes = PURPOSES.flatMap((name) => fields(request, name));
  return purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose));
}

function parametersOf(query: string): Visit["parameters"] {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (parameters.has(name) || value.includes("\ufffd")) return undefined;
    parameters.set(name, value);
  }
  return parameters;
}

function cookiesOf(request: IncomingMessage): string[] {
  return fields(request, "cookie")
    .flatMap((field) => items(field, ";"))
    .filter((pair) => pair.startsWith(`${COOKIE}=`))
    .map((pair) => pair.slice(COOKIE.length + 1));
}

/**
 * What the reverse proxy says the browser asked for, else `Host`.
 *
 * Whoever forges these headers gains nothing: it becomes the login's return URL, and the relay
 * sends browsers only to return URLs that its operator registered.
 */
function originOf(request: IncomingMessage): string | undefined {
  const host = first(request, "x-forwarded-host") ?? first(request, "host") ?? "";
  if (!/^([a-z\d.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i.test(host)) return undefined;
  const scheme = first(request, "x-forwarded-proto");
  // A proxy that does not say: only on loopback can it be http.
  const candidates = (scheme ? [scheme] : ["http", "https"]).map((one) =>
    /^https?$/.test(one) ? parseUrl(`${one}://${host}`) : undefined,
  );
  return candidates.find((url) => url && isSecure(url))?.origin;
}

/** Of a chain of proxies the first one heard the browser. */
function first(request: IncomingMessage, name: string): string | undefined {
  return items(fields(request, name)[0] ?? "", ",")[0] || undefined;
}
