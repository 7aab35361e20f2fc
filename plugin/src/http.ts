/**
 * HTTP as the protocol wants it of a client: https, no redirects, every request bounded in time and
 * in what it may answer.
 */

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

/**
 * What to correct, if a proxy would be asked: http is for loopback because it stays on the machine,
 * and a proxy would be sent it, secrets and all, in the clear. opencode's fetch asks HTTP_PROXY for
 * loopback too.
 */
export function whyProxied(
  url: URL,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (url.protocol !== "http:" || !(env["http_proxy"] || env["HTTP_PROXY"])) return undefined;
  // As Bun (1.3) reads it, or more strictly: what is taken for direct here must be so there.
  const direct = (env["no_proxy"] || env["NO_PROXY"] || "")
    .split(",")
    .map((entry) => entry.replace(/^[ \t]+|[ \t]+$/g, "").toLowerCase());
  if ([url.hostname, url.host, "*"].some((host) => direct.includes(host))) return undefined;
  return (
    `${url.origin} would be asked through HTTP_PROXY: add ${url.hostname} to NO_PROXY (no_proxy ` +
    "goes before it), with commas between its entries"
  );
}

/** Bytes of an answer; the largest have some thousand. */
const LONGEST = 1_000_000;

/**
 * `fetch`, with its answer's text, through no proxy that would read along. `timeout` in milliseconds.
 *
 * Answers of more than a megabyte are refused, and packed ones: Bun unpacks as a whole what may be
 * anything then. Throws `Unreachable`.
 */
export async function exchange(
  url: string | URL,
  init: RequestInit,
  timeout: number,
): Promise<{ answer: Response; text: string }> {
  const proxied = whyProxied(new URL(url), process.env);
  if (proxied) throw new Unreachable(proxied);
  const signals = [AbortSignal.timeout(timeout), ...(init.signal ? [init.signal] : [])];
  const headers = new Headers(init.headers);
  headers.set("accept-encoding", "identity");
  const bounds = { headers, signal: AbortSignal.any(signals), decompress: false };
  try {
    const answer = await fetch(url, { ...init, ...bounds });
    return { answer, text: await bounded(answer) };
  } catch (error) {
    throw error instanceof Unreachable ? error : new Unreachable(cause(error));
  }
}

async function bounded({ headers, body }: Response): Promise<string> {
  if (!["", "identity"].includes(headers.get("content-encoding")?.toLowerCase() ?? "")) {
    await body?.cancel();
    throw new Unreachable("its answer is packed, though that was not asked for");
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.length;
    if (length > LONGEST) throw new Unreachable("it answers with too much");
    parts.push(part);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}

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
  const { answer, text } = await exchange(url, { ...init, redirect: "error" }, timeout);
  const seconds = answer.headers.get("retry-after") ?? "";
  return {
    status: answer.status,
    body: asObject(text),
    ahead: aheadOf(answer.headers),
    retryAfter: /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined,
  };
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
