/** Signing in through the relay: opening a login, and how opencode is to show it. */

import { hostname } from "node:os";

import { noticeDisconnect } from "./accounts.js";
import { collect } from "./polling.js";
import { entered } from "./entered.js";
import { type Idp, LOOPBACK_REDIRECT_URI, authorizationUrl, findIdp } from "../idp/provider.js";
import { listening } from "../listener/listener.js";
import type { Context } from "./logins.js";
import type { Authorization } from "../opencode/interface.js";
import { RedirectLogin } from "./redirect-login.js";
import {
  type Discovery,
  type OpenRequest,
  type OpenedLogin,
  RelayError,
  discover,
  open,
} from "../relay/discovery.js";
import {
  RelayLogin,
  type Secrets,
  challenge,
  randomText,
  relayLogins,
  sameText,
} from "./relay-login.js";
import { makeKeys } from "../relay/sealed.js";
import { AUTO, OPENAI_ISSUER, type Settings } from "../settings.js";

/** Everything a login is made of but what the relay answers. */
interface Attempt {
  readonly context: Context;
  readonly settings: Settings;
  readonly discovery: Discovery;
  readonly idp: Idp;
  /** The relay's own, or localhost's where only that is registered. */
  readonly redirectUri: string;
  readonly secrets: Secrets;
  /** Opens the login at the relay, in the given way. Throws `RelayError`. */
  open(how: Partial<OpenRequest>): Promise<OpenedLogin>;
}

/**
 * Opens a login. Throws an error whose message says what is wrong.
 *
 * `pastes`: the person has asked for the way in which they paste or type into opencode.
 */
export async function relaySignIn(
  context: Context,
  settings: Settings,
  { pastes = false } = {},
): Promise<Authorization> {
  await noticeDisconnect(context.log);
  const [discovery, idp, key] = await Promise.all([
    discover(settings.relay()),
    findIdp(settings),
    settings.key(),
  ]);
  const secrets = {
    collectVerifier: randomText(),
    pkceVerifier: randomText(),
    keys: await makeKeys(),
  };
  const request = {
    collect_challenge: challenge(secrets.collectVerifier),
    encryption_key: secrets.keys.publicKey,
    name: `opencode on ${hostname().replace(/[^\w.-]+/g, "-") || "a server"}`.slice(0, 64),
    provider: providerName(settings),
    ...(idp.sendsIss ? { idp_issuer: idp.issuer } : {}),
  };
  const attempt: Attempt = {
    context,
    settings,
    discovery,
    idp,
    redirectUri: isRegistered(discovery, settings)
      ? discovery.redirectUri
      : LOOPBACK_REDIRECT_URI,
    secrets,
    open: (how) => open(discovery, key, { ...request, ...how }),
  };
  const publicUrl = settings.publicUrl();
  if (pastes || publicUrl === undefined) return await byPolling(attempt, pastes);
  const why =
    whyNoRedirect(discovery, settings, key) ?? (await whyNoListener(settings, context.log));
  if (why === undefined) {
    try {
      return await byRedirect(attempt, publicUrl);
    } catch (error) {
      if (!(error instanceof RelayError) || error.slug !== NOT_OFFERED) throw error;
    }
  }
  context.log("warn", `publicUrl is not used, this sign-in polls: ${why ?? noRedirect(discovery)}`);
  return await byPolling(attempt);
}

const NOT_OFFERED = "redirect-not-offered";

function noRedirect({ issuer }: Discovery): string {
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

/** Why the plugin cannot be reached by a browser, if it cannot. Throws `SettingsError`. */
export async function whyNoListener(
  settings: Settings,
  log: Context["log"],
): Promise<string | undefined> {
  return await listening(settings.listen(), log).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

async function byRedirect(attempt: Attempt, publicUrl: string): Promise<Authorization> {
  const { context, discovery, idp, redirectUri, secrets, settings } = attempt;
  const login = new RedirectLogin(
    context,
    discovery,
    idp,
    redirectUri,
    secrets,
    (returnUrl) => attempt.open({ delivery: "redirect", return_url: returnUrl }),
    publicUrl,
    providerName(settings),
  );
  if (publicUrl !== AUTO) {
    try {
      await login.open(publicUrl);
    } catch (error) {
      login.end({ type: "failed" });
      throw error;
    }
  }
  void login.watch();
  return {
    url: login.link,
    method: "auto",
    // opencode's page shows what follows the last colon in a box "Confirmation code".
    instructions: "Sign in through the link. Confirmation code: none, nothing to type",
    callback: () => login.answered,
  };
}

async function byPolling(attempt: Attempt, pastes = false): Promise<Authorization> {
  const { context, discovery, idp, redirectUri, secrets, settings } = attempt;
  // opencode can show a pairing code or take an input, not both, and what is pasted needs one.
  const typed = pastes || !comesBack(discovery, settings);
  const opened = await attempt.open(typed ? { confirmation: "completion_code" } : {});
  const login = new RelayLogin(context, discovery, idp, redirectUri, secrets).opens(opened);
  void collect(login);
  return authorization(login);
}

/** True if the relay's own redirect URI is registered at the identity provider. */
export function isRegistered(discovery: Discovery, settings: Settings): boolean {
  return discovery.registeredClients.some(
    (client) => client.issuer === settings.issuer && client.clientId === settings.clientId,
  );
}

/** True if the browser comes to the relay without a paste: by itself, or carried by a helper. */
export function comesBack(discovery: Discovery, settings: Settings): boolean {
  return settings.catcher || isRegistered(discovery, settings);
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
  const login = relayLogins().find(
    (candidate) => candidate.byCode && sameText(candidate.resumeToken, token),
  );
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
  const stranded =
    login.redirectUri === LOOPBACK_REDIRECT_URI
      ? "If the page does not load in the end, choose the way with pasting. "
      : "";
  return {
    url,
    method: "auto",
    // opencode's page shows what follows the last colon, and lets it be copied.
    instructions: `${stranded}Sign in, and where the relay asks for it enter the code below: ${login.opened.pairingCode}`,
    callback: () => login.answered,
  };
}
