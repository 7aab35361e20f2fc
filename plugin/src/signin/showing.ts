/** How opencode shows a login that polls, and takes it up again. */

import { LOOPBACK_REDIRECT_URI, authorizationUrl } from "../idp/provider.js";
import type { Authorization } from "../opencode/interface.js";
import { entered } from "./entered.js";
import { type RelayLogin, relayLogins } from "./relay-login.js";
import { challenge, sameText } from "./verifiers.js";

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

export function authorization(login: RelayLogin): Authorization {
  const url = authorizationUrl(login.idp, {
    redirectUri: login.redirectUri,
    state: login.opened.state,
    challenge: challenge(login.secrets.pkceVerifier),
  });
  if (login.byCode) {
    return {
      url,
      method: "code",
      instructions: "",
      callback: (text) => entered(login, text),
    };
  }
  const enter =
    login.redirectUri === LOOPBACK_REDIRECT_URI
      ? "No page loads? Paste instead. Code to enter"
      : "Where the relay asks, enter this code";
  return {
    url,
    method: "auto",
    // opencode's page shows what follows the last colon, and lets it be copied; its terminal UI has
    // one line left below such a link.
    instructions: `${enter}: ${login.opened.pairingCode}`,
    callback: () => login.answered,
  };
}
