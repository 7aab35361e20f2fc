/**
 * GitLab, whose tokens opencode uses and refreshes itself: with the client and at the address that
 * its own two variables name, which this sign-in takes too.
 */

import { isSecure, parseUrl } from "../http.js";
import type { Idp } from "../idp/provider.js";
import { redeem } from "../idp/tokens.js";
import { type Environment, SettingsError, refuseProxied } from "../settings.js";
import { slot } from "../signin/accounts.js";
import type { Target } from "../signin/target.js";

export const GITLAB = "gitlab";
export const CLOUD = "https://gitlab.com";
/** opencode's own application on gitlab.com, and its one redirect URI: nothing listens there. */
export const APPLICATION = "1d89f9fdb23ee96d4e603201f6861dab6e143c5c3c00469a018a2d94bdc03d4e";
const REDIRECT_URI = "http://127.0.0.1:8080/callback";

/** True where the application is one's own, which has the relay's redirect URI registered. */
export function isOwn(env: Environment): boolean {
  return Boolean(env["GITLAB_OAUTH_CLIENT_ID"]);
}

export function gitlabTarget(env: Environment): Target {
  return {
    provider: GITLAB,
    name: "GitLab",
    find: async (relay) => {
      const idp = gitlabAt(env);
      if (!isOwn(env)) return { idp, redirectUri: REDIRECT_URI };
      if (!relay) throw new SettingsError('signing in with GITLAB_OAUTH_CLIENT_ID takes a relay: set the option "relay"');
      return { idp, redirectUri: relay.redirectUri };
    },
    redeem: async (login, idp, grant) => {
      const tokens = await redeem(idp.tokenEndpoint, idp.clientId, grant);
      const account = { ...tokens, accountId: undefined };
      // Where opencode refreshes it.
      await slot(GITLAB).store(login, account, { enterpriseUrl: idp.issuer });
    },
    look: (log) => slot(GITLAB).look(log),
  };
}

/** Throws `SettingsError`. */
function gitlabAt(env: Environment): Idp {
  const url = parseUrl(env["GITLAB_INSTANCE_URL"] || CLOUD);
  if (!url || !isSecure(url)) throw new SettingsError("GITLAB_INSTANCE_URL must be an https URL");
  refuseProxied(url, env);
  const issuer = url.origin;
  if (!isOwn(env) && issuer !== CLOUD) {
    throw new SettingsError(
      `opencode has no application on ${issuer}: register one there, and set GITLAB_OAUTH_CLIENT_ID to its id`,
      "no application",
    );
  }
  return {
    issuer,
    clientId: env["GITLAB_OAUTH_CLIENT_ID"] || APPLICATION,
    authorizationEndpoint: `${issuer}/oauth/authorize`,
    tokenEndpoint: `${issuer}/oauth/token`,
    sendsIss: false,
    parameters: { scope: "api" },
  };
}
