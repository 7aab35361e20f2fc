/** What the relay says of itself, in its discovery document (protocol version 1). */

import { type Answer, parseUrl, printable, request } from "../http.js";
import { RelayError, unreachable } from "./problems.js";

export interface Discovery {
  readonly issuer: string;
  readonly redirectUri: string;
  readonly loginsEndpoint: string;
  readonly jwksUri: string;
  /** Its client ID metadata document: only a relay on https has one. */
  readonly clientMetadataUri: string | undefined;
  /** True if an enrolled instance may confirm by a pairing code. */
  readonly pairingCodes: boolean;
  /** True if it offers delivery `redirect`. */
  readonly redirects: boolean;
  /** Seconds that a login lives. */
  readonly loginLifetime: number;
  readonly registeredClients: readonly { issuer: string; clientId: string }[];
  /** Milliseconds that our clock is ahead of the relay's, as far as is known. */
  readonly ahead: number;
}

/**
 * Reads the relay's discovery document. `timeout` in milliseconds. Throws `RelayError`.
 *
 * Accepted only if it speaks for the configured address, and every endpoint lies on it: what
 * follows sends the instance key and decides whose signatures count.
 */
export async function discover(relay: string, timeout?: number): Promise<Discovery> {
  let answer: Answer;
  try {
    answer = await request(`${relay}/.well-known/opencode-relay`, {}, timeout);
  } catch (error) {
    throw unreachable(relay, error);
  }
  const { status, body } = answer;
  if (status !== 200 || body["protocol"] === undefined) {
    throw new RelayError(
      `${relay} does not answer as a relay (status ${status}): check the option "relay"`,
      "no relay at its address",
    );
  }
  if (body["protocol"] !== 1) {
    throw new RelayError(
      `${relay} speaks protocol ${printable(String(body["protocol"]))}, this plugin protocol 1: ` +
        "update the older of the two",
      "another protocol version",
    );
  }
  if (body["issuer"] !== relay) {
    throw new RelayError(
      `${relay} calls itself ${printable(body["issuer"])}: set the option "relay" to the relay's ` +
        "public URL, or correct RELAY_PUBLIC_URL there",
      "relay has another URL",
    );
  }
  const endpoint = (name: string): string => {
    const value = body[name];
    const url = typeof value === "string" ? parseUrl(value) : undefined;
    if (!url || url.origin !== relay || url.username || url.password) {
      throw new RelayError(
        `${relay} names no ${name} on its own origin: it is not to be trusted`,
        "relay not to be trusted",
      );
    }
    return url.href;
  };
  return {
    issuer: relay,
    redirectUri: endpoint("redirect_uri"),
    loginsEndpoint: endpoint("logins_endpoint"),
    jwksUri: endpoint("jwks_uri"),
    clientMetadataUri: "client_metadata_uri" in body ? endpoint("client_metadata_uri") : undefined,
    pairingCodes: asList(body["confirmations_supported"]).includes("pairing_code"),
    redirects: asList(body["deliveries_supported"]).includes("redirect"),
    loginLifetime: typeof body["login_lifetime"] === "number" ? body["login_lifetime"] : 600,
    registeredClients: registeredClients(body["registered_clients"]),
    ahead: answer.ahead ?? 0,
  };
}

const remembered = new Map<string, { found: Discovery; until: number }>();

/** Keeps for a minute what a login has succeeded with. */
export function remember(found: Discovery): void {
  remembered.set(found.issuer, { found, until: Date.now() + 60_000 });
}

/**
 * What is remembered, or else discovered: opencode makes the plugin anew after each login, and each
 * request costs the relay's operator. `timeout` in milliseconds.
 */
export async function recall(relay: string, timeout: number): Promise<Discovery> {
  const known = remembered.get(relay);
  return known && Date.now() < known.until ? known.found : await discover(relay, timeout);
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
