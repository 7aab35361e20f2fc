/** The pages of the plugin's own listener. */

import { hostname } from "node:os";

import { type RedirectLogin, START } from "../signin/redirect-login.js";
import { type Answer, type Html, html, page } from "./page.js";
import { AGAIN, IDP_ERRORS, REFUSALS } from "./sentences.js";

/** `why`: in words of ours, and for nobody but whoever began. */
export function refusal(
  reason: keyof typeof REFUSALS,
  login?: RedirectLogin,
  more = {},
  why?: string,
): Answer {
  const [status, title, happened, next] = REFUSALS[reason];
  const said = why ? html`${happened} The reason: ${why}.` : happened;
  return page(status, [title, said, next], about(login), more);
}

/** The relay does not send browsers back to this address; `command` registers it there. */
export function unregistered(login: RedirectLogin, origin: string, command: string): Answer {
  return page(
    403,
    [
      "This address is not registered",
      html`The relay does not send anybody back to <bdi>${origin}</bdi>.`,
      html`The relay's operator allows it with <code>${command}</code> and you can try again then.`,
    ],
    about(login, origin),
  );
}

/** Asks somebody who did not come from opencode's own page whether they mean it. */
export function interstitial(login: RedirectLogin, origin: string, go: string): Answer {
  const provider = html`<bdi>${login.target.name}</bdi>`;
  return page(
    200,
    [
      "Sign this opencode in?",
      html`You are about to sign the opencode below in with your account of ${provider}.`,
      html`<strong>Everyone who can use this opencode will be able to use the account.</strong> If you did not ask for this sign-in yourself, close this page.`,
    ],
    about(login, origin),
    {},
    html`<a href="${go}">Go on to ${provider}</a>`,
  );
}

export function done(login: RedirectLogin): Answer {
  return page(
    200,
    [
      "Signed in",
      "opencode has taken up your account.",
      "You can close this page, or go back to opencode.",
    ],
    about(login),
  );
}

/** The identity provider's `error`, in our own words: what it sent is never shown. */
export function idpError(login: RedirectLogin, error: string | undefined): Answer {
  const why = IDP_ERRORS.get(error ?? "") ?? "It gave a reason that is not known here.";
  const happened = html`Signing in with <bdi>${login.target.name}</bdi> did not work. ${why}`;
  return page(200, ["Not signed in", happened, AGAIN], about(login));
}

function about(login: RedirectLogin | undefined, origin?: string): Html | undefined {
  if (!login) return undefined;
  const address = origin ?? login.origin;
  return html`<dl>
${address ? html`<div><dt>opencode at</dt><dd><bdi>${new URL(address).host}</bdi></dd></div>` : ""}
<div><dt>Runs on</dt><dd><bdi>${hostname()}</bdi></dd></div>
<div><dt>Sign in with</dt><dd><bdi>${login.target.name}</bdi></dd></div>
</dl>`;
}

/** The link of the interstitial page. */
export function onward(ticket: string, consent: string): string {
  return `${START}?${new URLSearchParams({ ticket, consent }).toString()}`;
}
