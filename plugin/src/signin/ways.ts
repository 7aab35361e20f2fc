/** Which ways a response can come here, by what the relay offers and what is set. */

import { printable } from "../http.js";
import type { Discovery } from "../relay/discovery.js";
import type { Settings } from "../settings.js";

/** True if the relay's own redirect URI is registered at the identity provider. */
export function isRegistered(discovery: Discovery, settings: Settings): boolean {
  return discovery.registeredClients.some(
    (client) => client.issuer === settings.issuer && client.clientId === settings.clientId,
  );
}

/**
 * What to correct at the relay, if it names the identity provider with a slash too many or too few:
 * as issuers are compared character by character, it is then no registration.
 */
export function misspelt(discovery: Discovery, settings: Settings): string | undefined {
  const plain = (issuer: string) => issuer.replace(/\/$/, "");
  const near = discovery.registeredClients.find(
    ({ issuer, clientId }) =>
      clientId === settings.clientId && plain(issuer) === plain(settings.issuer),
  );
  if (!near || isRegistered(discovery, settings)) return undefined;
  return (
    `${discovery.issuer} counts as not registered at the identity provider, so localhost's address ` +
    `is used: its RELAY_REGISTERED_CLIENTS spells the issuer ${printable(near.issuer)}, which calls ` +
    `itself ${settings.issuer}`
  );
}

/** True if the browser comes to the relay without a paste: by itself, or carried by a helper. */
export function comesBack(discovery: Discovery, settings: Settings): boolean {
  return settings.catcher || isRegistered(discovery, settings);
}

export function noRedirect({ issuer }: Discovery): string {
  return `${issuer} does not offer delivery redirect: its operator demands a completion code`;
}

/** Why a response cannot come back with the browser, if it cannot. */
export function whyNoRedirect(
  discovery: Discovery,
  settings: Settings,
  key: string | undefined,
): string | undefined {
  if (!discovery.redirects) return noRedirect(discovery);
  if (!key) return "it takes an instance key (OPENCODE_RELAY_KEY)";
  // The browser would end at localhost, where nothing listens, and opencode show no input to paste
  // its address into.
  if (!comesBack(discovery, settings)) {
    return `${discovery.redirectUri} is not registered at ${settings.issuer}, so its answer is pasted`;
  }
  return undefined;
}
