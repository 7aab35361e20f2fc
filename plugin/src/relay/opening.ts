/** Opening a login at the relay. */

import { type Answer, request } from "../http.js";
import type { Discovery } from "./discovery.js";
import { RelayError, openRefused, problemSlug, unreachable } from "./problems.js";

export interface OpenRequest {
  collect_challenge: string;
  encryption_key: { kty: string; crv: string; x: string; y: string };
  delivery?: "redirect";
  return_url?: string;
  name: string;
  provider: string;
  idp_issuer?: string;
}

export interface OpenedLogin {
  /** Where this login is collected, completed and finished. */
  readonly url: string;
  readonly loginId: string;
  readonly state: string;
  readonly confirmation: "pairing_code" | "completion_code" | "none";
  readonly pairingCode: string | undefined;
  /** Seconds. */
  readonly expiresIn: number;
  readonly maxWait: number;
  /** Milliseconds that our clock is ahead of the relay's, as far as is known. */
  readonly ahead: number;
}

/** Opens a login. Throws `RelayError`. */
export async function open(
  relay: Discovery,
  key: string | undefined,
  login: OpenRequest,
): Promise<OpenedLogin> {
  const answer = await post(relay, key, login);
  const { status, body } = answer;
  judge(relay, key, answer);
  if (status !== 201) throw openRefused(relay.issuer, key, login.return_url, answer);
  const loginId = body["login_id"];
  const state = body["state"];
  const confirmation = body["confirmation"];
  const pairingCode = body["pairing_code"];
  const expiresIn = body["expires_in"];
  const maxWait = body["max_wait"];
  if (
    typeof loginId !== "string" ||
    !/^[\w-]{22,128}$/.test(loginId) ||
    typeof state !== "string" ||
    !state ||
    (confirmation !== "pairing_code" &&
      confirmation !== "completion_code" &&
      confirmation !== "none") ||
    (confirmation === "none") !== (login.delivery === "redirect") ||
    (confirmation === "pairing_code") !== /^[0-9A-Z]{4}-[0-9A-Z]{4}$/.test(String(pairingCode)) ||
    typeof expiresIn !== "number" ||
    typeof maxWait !== "number"
  ) {
    throw new RelayError(`${relay.issuer} opened a login, but not as the protocol says: update it`, "relay refuses");
  }
  return {
    url: `${relay.loginsEndpoint}/${loginId}`,
    loginId,
    state,
    confirmation,
    pairingCode: confirmation === "pairing_code" ? String(pairingCode) : undefined,
    expiresIn,
    maxWait,
    ahead: answer.ahead ?? 0,
  };
}

/** Throws `RelayError` where nobody answers. */
async function post(
  relay: Discovery,
  key: string | undefined,
  body: object,
  timeout?: number,
): Promise<Answer> {
  try {
    return await request(
      relay.loginsEndpoint,
      {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(key ? { authorization: `Bearer ${key}` } : {}),
        },
        body: JSON.stringify(body),
      },
      timeout,
    );
  } catch (error) {
    throw unreachable(relay.issuer, error);
  }
}

/** Of each key, or none, what the relay last said: milliseconds since 1970 until when it counts. */
const verdicts = new Map<string, { refused: RelayError | undefined; until: number }>();
const ACCEPTED = 600_000;
/** The relay counts refused keys, and after too many refuses the address. */
const REFUSED = 60_000;

function judge({ issuer }: Discovery, key: string | undefined, answer: Answer): void {
  const slug = problemSlug(issuer, answer);
  if (answer.status !== 201 && answer.status !== 400 && answer.status !== 401) return;
  if (answer.status !== 201 && !slug) return; // of a proxy on the way
  const refused =
    answer.status === 401 ? openRefused(issuer, key, undefined, answer) : undefined;
  const until = Date.now() + (refused ? REFUSED : ACCEPTED);
  verdicts.set(`${issuer} ${key ?? ""}`, { refused, until });
}

/**
 * Throws `RelayError` if the relay would not take this key, or none. `timeout` in milliseconds.
 *
 * It is asked to open nothing: it looks at the key first, and then refuses the request as empty.
 */
export async function checkKey(
  relay: Discovery,
  key: string | undefined,
  timeout: number,
): Promise<void> {
  const name = `${relay.issuer} ${key ?? ""}`;
  const known = verdicts.get(name);
  if (!known || Date.now() >= known.until) {
    judge(relay, key, await post(relay, key, {}, timeout));
  }
  const refused = verdicts.get(name)?.refused;
  if (refused) throw refused;
}
