/** Which ways a response can come here, by what the relay offers and what is set. */

import { printable } from "../http.js";
import type { OAuthClient } from "../idp/provider.js";
import type { Log } from "../opencode/log.js";
import type { Discovery } from "../relay/discovery.js";
import type { Settings } from "../settings.js";

/** Why no browser can reach this process, if none can. */
export type WhyNoListener = (settings: Settings, log: Log) => Promise<string | undefined>;

/** True if the relay's own redirect URI is registered at the identity provider. */
export function isRegistered(discovery: Discovery, { issuer, clientId }: OAuthClient): boolean {
  return discovery.registeredClients.some(
    (client) => client.issuer === issuer && client.clientId === clientId,
  );
}

/**
 * What to correct at the relay, if it names the identity provider with a slash too many or too few:
 * as issuers are compared character by character, it is then no registration.
 */
export function misspelt(discovery: Discovery, ours: OAuthClient): string | undefined {
  const plain = (issuer: string) => issuer.replace(/\/$/, "");
  const near = discovery.registeredClients.find(
    ({ issuer, clientId }) =>
      clientId === ours.clientId && plain(issuer) === plain(ours.issuer),
  );
  if (!near || isRegistered(discovery, ours)) return undefined;
  return (
    `${discovery.issuer} counts as not registered at the identity provider, so localhost's address ` +
    `is used: its RELAY_REGISTERED_CLIENTS spells the issuer ${printable(near.issuer)}, which calls ` +
    `itself ${ours.issuer}`
  );
}

/** True if the browser comes to the relay without a paste: by itself, or carried by a helper. */
export function comesBack(discovery: Discovery, redirectUri: string, settings: Settings): boolean {
  return settings.catcher || redirectUri === discovery.redirectUri;
}

export function noRedirect({ issuer }: Discovery): string {
  return `${issuer} does not offer delivery redirect: its operator demands a completion code`;
}

/** Why a response cannot come back with the browser, if it cannot. */
export function whyNoRedirect(
  discovery: Discovery,
  redirectUri: string,
  settings: Settings,
  key: string | undefined,
): string | undefined {
  if (!discovery.redirects) return noRedirect(discovery);
  if (!key) return "it takes an instance key (OPENCODE_RELAY_KEY)";
  // The browser would end at localhost, where nothing listens, and opencode show no input to paste
  // its address into.
  if (!comesBack(discovery, redirectUri, settings)) {
    return `${discovery.redirectUri} is not registered there, so the answer is pasted`;
  }
  return undefined;
}
