/** Opening a login at the relay. */

import { type Answer, request } from "../http.js";
import type { Discovery } from "./discovery.js";
import { RelayError, openRefused, unreachable } from "./problems.js";

export interface OpenRequest {
  collect_challenge: string;
  encryption_key: { kty: string; crv: string; x: string; y: string };
  confirmation?: "completion_code";
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
}

/** Opens a login. Throws `RelayError`. */
export async function open(
  relay: Discovery,
  key: string | undefined,
  login: OpenRequest,
): Promise<OpenedLogin> {
  let answer: Answer;
  try {
    answer = await request(relay.loginsEndpoint, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(key ? { authorization: `Bearer ${key}` } : {}),
      },
      body: JSON.stringify(login),
    });
  } catch (error) {
    throw unreachable(relay.issuer, error);
  }
  const { status, body } = answer;
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
    (login.confirmation && confirmation !== login.confirmation) ||
    (confirmation === "pairing_code") !== /^[0-9A-Z]{4}-[0-9A-Z]{4}$/.test(String(pairingCode)) ||
    typeof expiresIn !== "number" ||
    typeof maxWait !== "number"
  ) {
    throw new RelayError(`${relay.issuer} opened a login, but not as the protocol says: update it`);
  }
  return {
    url: `${relay.loginsEndpoint}/${loginId}`,
    loginId,
    state,
    confirmation,
    pairingCode: confirmation === "pairing_code" ? String(pairingCode) : undefined,
    expiresIn,
    maxWait,
  };
}
