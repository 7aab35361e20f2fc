/** HTTP as the protocol wants it of a client: https, no redirects, every request bounded in time. */

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** True for https, and for http to loopback: keys and verifiers travel over no other connection. */
export function isSecure(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url));
}

export function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.test(hostname);
}

export function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** Nobody answered, or something other than the service asked did. */
export class Unreachable extends Error {}

export interface Answer {
  readonly status: number;
  /** The JSON object of the body; empty where there was none. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Seconds of `Retry-After`, where it was sent as a number. */
  readonly retryAfter: number | undefined;
  /** Milliseconds that our clock is ahead of the service's, where it told its time. */
  readonly ahead: number | undefined;
}

/**
 * One request. `timeout` in milliseconds.
 *
 * Throws `Unreachable` for network errors, timeouts and redirects: a redirect would carry the
 * Authorization header or the body to an address nobody configured.
 */
export async function request(
  url: string,
  init: RequestInit = {},
  timeout = 15_000,
): Promise<Answer> {
  const signals = [AbortSignal.timeout(timeout), ...(init.signal ? [init.signal] : [])];
  try {
    const response = await fetch(url, {
      ...init,
      redirect: "error",
      signal: AbortSignal.any(signals),
    });
    const seconds = response.headers.get("retry-after") ?? "";
    return {
      status: response.status,
      body: asObject(await response.text()),
      ahead: aheadOf(response.headers),
      retryAfter: /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined,
    };
  } catch (error) {
    throw new Unreachable(cause(error));
  }
}

/** A cache on the way hands on an earlier `Date`, and `Age` with it (RFC 9110, RFC 9111). */
function aheadOf(headers: Headers): number | undefined {
  const date = Date.parse(headers.get("date") ?? "");
  const age = Number(headers.get("age") ?? 0);
  const ahead = Date.now() - date - age * 1000;
  return Number.isFinite(ahead) ? ahead : undefined;
}

/** Text from outside, fit for a log line: one line, printable, at most 200 characters. */
export function printable(text: unknown): string {
  return typeof text === "string" ? text.replace(/[^\x20-\x7e]+/g, " ").slice(0, 200) : "";
}

function asObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

// Only the name or code of an error is used: its message may quote what was sent.
function cause(error: unknown): string {
  if (!(error instanceof Error)) return "the request failed";
  if (error.name === "TimeoutError") return "no answer in time";
  const inner = error.cause instanceof Error ? error.cause : error;
  const code = (inner as { code?: unknown }).code;
  if (typeof code === "string") return code;
  return inner.message === "unexpected redirect" ? "UnexpectedRedirect" : inner.name;
}
