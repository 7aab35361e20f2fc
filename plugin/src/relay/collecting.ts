/** What is asked of the relay for a login that it has opened: its response, and its end. */

import { type Answer, request } from "../http.js";
import type { Discovery } from "./discovery.js";
import type { OpenedLogin } from "./opening.js";
import { problemSlug } from "./problems.js";

/** `retryAfter` in seconds. */
export type Collected =
  | { status: "released"; response: string }
  | { status: "pending"; retryAfter: number }
  | { status: "held"; retryAfter: number }
  | { status: "over"; slug: string }
  | { status: "unreachable"; why: string; retryAfter: number | undefined };

/**
 * Asks for the response, waiting up to `wait` seconds. Never throws.
 *
 * Only the relay's own word ends a login: whatever a proxy on the way answers is passed over, and
 * asked again.
 */
export async function collect(
  relay: Discovery,
  login: OpenedLogin,
  verifier: string,
  wait: number,
  signal: AbortSignal,
): Promise<Collected> {
  let answer: Answer;
  try {
    answer = await request(
      `${login.url}/response?wait=${wait}`,
      { headers: { authorization: `Bearer ${verifier}` }, signal },
      (wait + 15) * 1000,
    );
  } catch (error) {
    return { status: "unreachable", why: (error as Error).message, retryAfter: undefined };
  }
  const { status, body, retryAfter } = answer;
  const response = body["response"];
  if (status === 200 && body["status"] === "released" && typeof response === "string") {
    return { status: "released", response };
  }
  if (status === 202 && (body["status"] === "pending" || body["status"] === "held")) {
    return { status: body["status"], retryAfter: retryAfter ?? 1 };
  }
  const slug = problemSlug(relay.issuer, answer);
  if (slug && status >= 400 && status < 500 && status !== 429) return { status: "over", slug };
  return { status: "unreachable", why: `status ${status}`, retryAfter };
}

/** Hands in a typed completion code. True if the login is now released. Throws `Unreachable`. */
export async function complete(
  login: OpenedLogin,
  verifier: string,
  code: string,
): Promise<{ released: boolean; triesLeft: number | undefined }> {
  const { status, body } = await request(`${login.url}/completion`, {
    method: "POST",
    headers: { authorization: `Bearer ${verifier}`, "content-type": "application/json" },
    body: JSON.stringify({ completion_code: code }),
  });
  const triesLeft = body["tries_left"];
  return {
    released: status === 204,
    triesLeft: typeof triesLeft === "number" ? triesLeft : undefined,
  };
}

/** Finishes or cancels a login. Left undone where the relay cannot be reached: it expires. */
export async function finish(login: OpenedLogin, verifier: string): Promise<void> {
  await request(
    login.url,
    { method: "DELETE", headers: { authorization: `Bearer ${verifier}` } },
    5_000,
  ).catch(() => undefined);
}
