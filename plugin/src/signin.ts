/** Signing in through the relay: opening a login, and how opencode is to show it. */

import { hostname } from "node:os";

import { noticeDisconnect } from "./accounts.js";
import { collect } from "./collecting.js";
import { entered } from "./entered.js";
import { LOOPBACK_REDIRECT_URI, authorizationUrl, findIdp } from "./idp.js";
import type { Context } from "./logins.js";
import type { Authorization } from "./opencode.js";
import { type Discovery, discover, open } from "./relay.js";
import { RelayLogin, challenge, randomText, relayLogins, sameText } from "./relay-login.js";
import { makeKeys } from "./sealed.js";
import { OPENAI_ISSUER, type Settings } from "./settings.js";

/** Opens a login and begins to collect. Throws an error whose message says what is wrong. */
export async function relaySignIn(context: Context, settings: Settings): Promise<Authorization> {
  await noticeDisconnect(context.log);
  const [discovery, idp, key] = await Promise.all([
    discover(settings.relay()),
    findIdp(settings),
    settings.key(),
  ]);
  const registered = isRegistered(discovery, settings);
  const secrets = {
    collectVerifier: randomText(),
    pkceVerifier: randomText(),
    keys: await makeKeys(),
  };
  const opened = await open(discovery, key, {
    collect_challenge: challenge(secrets.collectVerifier),
    encryption_key: secrets.keys.publicKey,
    // opencode can show a pairing code or take an input, not both, and what is pasted needs one.
    ...(registered ? {} : { confirmation: "completion_code" }),
    name: `opencode on ${hostname().replace(/[^\w.-]+/g, "-") || "a server"}`.slice(0, 64),
    provider: providerName(settings),
    ...(idp.sendsIss ? { idp_issuer: idp.issuer } : {}),
  });
  const redirectUri = registered ? discovery.redirectUri : LOOPBACK_REDIRECT_URI;
  const login = new RelayLogin(context, discovery, opened, idp, redirectUri, secrets);
  void collect(login);
  return authorization(login);
}

/** True if the relay's own redirect URI is registered at the identity provider. */
export function isRegistered(discovery: Discovery, settings: Settings): boolean {
  return discovery.registeredClients.some(
    (client) => client.issuer === settings.issuer && client.clientId === settings.clientId,
  );
}

export function providerName({ issuer }: Settings): string {
  return issuer === OPENAI_ISSUER ? "ChatGPT" : new URL(issuer).host.slice(0, 40);
}

/** The token with which the newest login that waits for an input in `directory` is taken up. */
export function resumable(directory: string): string | undefined {
  return relayLogins().findLast((login) => login.byCode && login.context.directory === directory)
    ?.resumeToken;
}

/** The same login once more, for an opencode that has forgotten it. */
export function resume(token: string): Authorization | undefined {
  const login = relayLogins().find((candidate) => sameText(candidate.resumeToken, token));
  return login && authorization(login);
}

function authorization(login: RelayLogin): Authorization {
  const url = authorizationUrl(login.idp, {
    redirectUri: login.redirectUri,
    state: login.opened.state,
    challenge: challenge(login.secrets.pkceVerifier),
  });
  if (login.byCode) {
    return {
      url,
      method: "code",
      instructions:
        "Sign in, then paste the whole address of the page that did not load, or the code that " +
        "the relay's page shows",
      callback: (text) => entered(login, text),
    };
  }
  return {
    url,
    method: "auto",
    // opencode's page shows what follows the last colon, and lets it be copied.
    instructions: `Sign in, and where the relay asks for it enter the code below: ${login.opened.pairingCode}`,
    callback: () => login.answered,
  };
}
