/** What a sign-in begins with: who is asked, and what only this login knows. */

import { hostname } from "node:os";

import type { Idp } from "../idp/provider.js";
import { clockDiffers } from "../relay/clocks.js";
import { type Discovery, discover } from "../relay/discovery.js";
import { makeKeys } from "../relay/keys.js";
import { type OpenRequest, type OpenedLogin, open } from "../relay/opening.js";
import type { Settings } from "../settings.js";
import type { Context } from "./logins.js";
import type { Secrets } from "./relay-login.js";
import type { Target } from "./target.js";
import { challenge, randomText } from "./verifiers.js";

/** Everything a login is made of but what the relay answers. */
export interface Attempt {
  readonly context: Context;
  readonly target: Target;
  readonly settings: Settings;
  readonly discovery: Discovery;
  readonly idp: Idp;
  readonly redirectUri: string;
  readonly secrets: Secrets;
  readonly key: string | undefined;
  /** Opens the login at the relay, in the given way. Throws `RelayError`. */
  open(how: Partial<OpenRequest>): Promise<OpenedLogin>;
}

/** Asks the relay and the identity provider. Throws an error that says what is wrong. */
export async function makeAttempt(
  context: Context,
  settings: Settings,
  target: Target,
): Promise<Attempt> {
  const [discovery, key] = await Promise.all([discover(settings.relay()), settings.key()]);
  const { idp, redirectUri } = await target.find(discovery);
  const secrets = { collectVerifier: randomText(), keys: await makeKeys() };
  const request = {
    collect_challenge: challenge(secrets.collectVerifier),
    encryption_key: secrets.keys.publicKey,
    name: `opencode on ${hostname().replace(/[^\w.-]+/g, "-") || "a server"}`.slice(0, 64),
    provider: target.name,
    ...(idp.sendsIss ? { idp_issuer: idp.issuer } : {}),
  };
  return {
    context,
    target,
    settings,
    discovery,
    idp,
    redirectUri,
    secrets,
    key,
    open: async (how) => {
      const opened = await open(discovery, key, { ...request, ...how });
      const differs = clockDiffers(opened.ahead);
      if (differs) context.log("warn", differs);
      return opened;
    },
  };
}
