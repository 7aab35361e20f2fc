/** The relay's API, as its protocol page (version 1) has it. */

import { createRemoteJWKSet, type JWTVerifyGetKey } from "jose";

import { type Answer, Unreachable, parseUrl, printable, problemSlug, request } from "../http.js";

/** The relay refuses, or is not one this plugin can use; the message says what to do about it. */
export class RelayError extends Error {
  constructor(
    message: string,
    /** What the relay calls the problem, where it named one. */
    readonly slug?: string,
    /** What the relay's operator can run against it. */
    readonly command?: string,
  ) {
    super(message);
  }
}

export interface Discovery {
  readonly issuer: string;
  readonly redirectUri: string;
  readonly loginsEndpoint: string;
  readonly jwksUri: string;
  /** True if an enrolled instance may confirm by a pairing code. */
  readonly pairingCodes: boolean;
  /** True if it offers delivery `redirect`. */
  readonly redirects: boolean;
  /** Seconds that a login lives. */
  readonly loginLifetime: number;
  readonly registeredClients: readonly { issuer: string; clientId: string }[];
}

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

/** `retryAfter` in seconds. */
export type Collected =
  | { status: "released"; response: string }
  | { status: "pending"; retryAfter: number }
  | { status: "held"; retryAfter: number }
  | { status: "over"; slug: string }
  | { status: "unreachable"; why: string; retryAfter: number | undefined };

/**
 * Reads the relay's discovery document. Throws `RelayError`.
 *
 * Accepted only if it speaks for the configured address, and every endpoint lies on it: what
 * follows sends the instance key and decides whose signatures count.
 */
export async function discover(relay: string): Promise<Discovery> {
  let answer: Answer;
  try {
    answer = await request(`${relay}/.well-known/opencode-relay`);
  } catch (error) {
    throw unreachable(relay, error);
  }
  const { status, body } = answer;
  if (status !== 200 || body["protocol"] === undefined) {
    throw new RelayError(
      `${relay} does not answer as a relay (status ${status}): check the option "relay"`,
    );
  }
  if (body["protocol"] !== 1) {
    throw new RelayError(
      `${relay} speaks protocol ${printable(String(body["protocol"]))}, this plugin protocol 1: ` +
        "update the older of the two",
    );
  }
  if (body["issuer"] !== relay) {
    throw new RelayError(
      `${relay} calls itself ${printable(body["issuer"])}: set the option "relay" to the relay's ` +
        "public URL, or correct RELAY_PUBLIC_URL there",
    );
  }
  const endpoint = (name: string): string => {
    const value = body[name];
    const url = typeof value === "string" ? parseUrl(value) : undefined;
    if (!url || url.origin !== relay || url.username || url.password) {
      throw new RelayError(`${relay} names no ${name} on its own origin: it is not to be trusted`);
    }
    return url.href;
  };
  return {
    issuer: relay,
    redirectUri: endpoint("redirect_uri"),
    loginsEndpoint: endpoint("logins_endpoint"),
    jwksUri: endpoint("jwks_uri"),
    pairingCodes: asList(body["confirmations_supported"]).includes("pairing_code"),
    redirects: asList(body["deliveries_supported"]).includes("redirect"),
    loginLifetime: typeof body["login_lifetime"] === "number" ? body["login_lifetime"] : 600,
    registeredClients: registeredClients(body["registered_clients"]),
  };
}

const remembered = new Map<string, { found: Discovery; until: number }>();

/** Keeps for a minute what a login has succeeded with. */
export function remember(found: Discovery): void {
  remembered.set(found.issuer, { found, until: Date.now() + 60_000 });
}

/**
 * What is remembered, or else discovered: opencode makes the plugin anew after each login, and each
 * request costs the relay's operator.
 */
export async function recall(relay: string): Promise<Discovery> {
  const known = remembered.get(relay);
  return known && Date.now() < known.until ? known.found : await discover(relay);
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
  if (status !== 201) throw openRefused(relay.issuer, key, login, answer);
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

const keySets = new Map<string, JWTVerifyGetKey>();

/** The relay's signing keys; an unknown `kid` makes them be read again, at most once a minute. */
export function signingKeys(relay: Discovery): JWTVerifyGetKey {
  let keys = keySets.get(relay.jwksUri);
  if (!keys) {
    keys = createRemoteJWKSet(new URL(relay.jwksUri), {
      cacheMaxAge: 300_000,
      cooldownDuration: 60_000,
      timeoutDuration: 10_000,
    });
    keySets.set(relay.jwksUri, keys);
  }
  return keys;
}

function registeredClients(list: unknown): Discovery["registeredClients"] {
  return asList(list).flatMap((entry) => {
    const { issuer, client_id: clientId } = (entry ?? {}) as Record<string, unknown>;
    return typeof issuer === "string" && typeof clientId === "string" ? [{ issuer, clientId }] : [];
  });
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function unreachable(relay: string, error: unknown): RelayError {
  const why = error instanceof Unreachable ? error.message : "the request failed";
  return new RelayError(
    `${relay} cannot be reached (${why}): check the option "relay", and HTTPS_PROXY, NO_PROXY and ` +
      "NODE_EXTRA_CA_CERTS where a proxy or an own certificate authority is used",
  );
}

function openRefused(
  relay: string,
  key: string | undefined,
  login: OpenRequest,
  answer: Answer,
): RelayError {
  const slug = problemSlug(relay, answer);
  if (slug === "return-url-not-allowed") {
    // An instance key begins with the instance's id.
    const id = /^ocr_([0-9a-z]{12})_/.exec(key ?? "")?.[1] ?? "ID";
    const command = `opencode-relay instances update ${id} --return-url ${login.return_url}`;
    const why = `${relay} sends nobody back to ${login.return_url}`;
    return new RelayError(`${why}: its operator registers it with ${command}`, slug, command);
  }
  return new RelayError(whyRefused(relay, slug, answer), slug);
}

function whyRefused(relay: string, slug: string | undefined, answer: Answer): string {
  const set = '"key" or "keyFile" (OPENCODE_RELAY_KEY, OPENCODE_RELAY_KEY_FILE)';
  if (slug === "instance-key-required") return `${relay} wants an instance key: set ${set}`;
  if (slug === "instance-key-invalid") {
    return `${relay} does not accept the instance key: set ${set} to one that is enrolled there`;
  }
  if (answer.status === 429) {
    return `${relay} has had too many requests: try again in ${answer.retryAfter ?? 60} seconds`;
  }
  const detail = slug ? `: ${printable(answer.body["detail"])}` : "";
  return `${relay} does not open a login (status ${answer.status})${detail}`;
}
