/** What a request tells of the browser that sent it. */

import type { IncomingMessage } from "node:http";

import { isSecure, parseUrl } from "../http.js";

/** `__Host-`: no neighbouring name or path can set it, and it goes back to this host alone. */
const COOKIE = "__Host-opencode-relay";
/** Seconds; longer than any login lives. */
const COOKIE_LIFE = 3600;

export interface Visit {
  readonly path: string;
  /** Nothing where one of them came twice, or garbled. */
  readonly parameters: ReadonlyMap<string, string> | undefined;
  /** This browser's own random value, if it has been here. */
  readonly browser: string | undefined;
  /** True if a page of this very origin led here. */
  readonly sameOrigin: boolean;
  /** The address that the browser used, an origin; https, or http on loopback. */
  readonly origin: string | undefined;
}

export function visitOf(request: IncomingMessage): Visit {
  const [path = "", query = ""] = (request.url ?? "").split(/\?(.*)/s);
  return {
    path,
    parameters: parametersOf(query),
    browser: browserOf(request.headers.cookie ?? ""),
    sameOrigin: request.headers["sec-fetch-site"] === "same-origin",
    origin: originOf(request),
  };
}

/** `Set-Cookie` with this browser's value. Lax: it comes along when another site leads back. */
export function cookie(browser: string): string {
  return `${COOKIE}=${browser}; Path=/; Max-Age=${COOKIE_LIFE}; Secure; HttpOnly; SameSite=Lax`;
}

function parametersOf(query: string): Visit["parameters"] {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (parameters.has(name) || value.includes("\ufffd")) return undefined;
    parameters.set(name, value);
  }
  return parameters;
}

function browserOf(header: string): string | undefined {
  const values = header
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${COOKIE}=`))
    .map((pair) => pair.slice(COOKIE.length + 1));
  const [value] = values;
  return values.length === 1 && /^[\w-]{43}$/.test(value!) ? value : undefined;
}

/**
 * What the reverse proxy says the browser asked for, else `Host`.
 *
 * Whoever forges these headers gains nothing: it becomes the login's return URL, and the relay
 * sends browsers only to return URLs that its operator registered.
 */
function originOf({ headers }: IncomingMessage): string | undefined {
  const host = first(headers["x-forwarded-host"]) ?? headers.host ?? "";
  if (!/^([a-z\d.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i.test(host)) return undefined;
  const scheme = first(headers["x-forwarded-proto"]);
  // A proxy that does not say: only on loopback can it be http.
  const candidates = (scheme ? [scheme] : ["http", "https"]).map((one) =>
    /^https?$/.test(one) ? parseUrl(`${one}://${host}`) : undefined,
  );
  return candidates.find((url) => url && isSecure(url))?.origin;
}

/** Of a chain of proxies the first one heard the browser. */
function first(header: string | string[] | undefined): string | undefined {
  return (Array.isArray(header) ? header[0] : header)?.split(",")[0]?.trim() || undefined;
}
