/** How opencode shows a login, and takes it up again. */

import { LOOPBACK_REDIRECT_URI } from "../idp/provider.js";
import type { Authorization } from "../opencode/interface.js";
import { entered } from "./entered.js";
import { type OAuthLogin, typedLogins } from "./oauth-login.js";
import type { RelayLogin } from "./relay-login.js";
import { sameText } from "./verifiers.js";

/** The token with which the newest login that waits for an input in `directory` is taken up. */
export function resumable(provider: string, directory: string): string | undefined {
  return typedLogins(provider).findLast(({ context }) => context.directory === directory)
    ?.resumeToken;
}

/** The same login once more, for an opencode that has forgotten it. */
export function resume(provider: string, token: string): Authorization | undefined {
  const login = typedLogins(provider).find(({ resumeToken }) => sameText(resumeToken, token));
  return login && typed(login);
}

/** Something is to be typed or pasted into opencode. */
export function typed(login: OAuthLogin): Authorization {
  return { url: login.url, method: "code", instructions: "", callback: (text) => entered(login, text) };
}

/** The relay is asked until it has an answer. */
export function polled(login: RelayLogin): Authorization {
  if (login.byCode) return typed(login);
  const { where } = login.target;
  const isLocal = login.redirectUri === LOOPBACK_REDIRECT_URI;
  const enter = where
    ? `At ${where.slice(-30)}. ${isLocal ? "No page loads? Paste. Code" : "Code for the relay's page"}`
    : isLocal
      ? "No page loads? Paste instead. Code to enter"
      : "Where the relay asks, enter this code";
  return {
    url: login.url,
    method: "auto",
    // opencode's page shows what follows the last colon, and lets it be copied; its terminal UI has
    // one line left below such a link.
    instructions: `${enter}: ${login.opened.pairingCode}`,
    callback: () => login.answered,
  };
}
