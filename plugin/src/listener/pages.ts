/**
 * The pages of the plugin's own listener.
 *
 * They stand on opencode's origin, where a script would act with its password: there is none, the
 * policy forbids it, and they show nothing but our own sentences and names, escaped.
 */

import { createHash } from "node:crypto";
import { hostname } from "node:os";

import { START, type RedirectLogin } from "../signin/redirect-login.js";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Text that is HTML already. */
class Html {
  constructor(readonly text: string) {}
}

const STYLE = `:root{color-scheme:light dark;--back:#f3f5f7;--card:#fff;--text:#1c2127;--quiet:#56606b;--line:#d5dbe1;--edge:#6d7782;--strong:#1d4f91}
@media(prefers-color-scheme:dark){:root{--back:#13161a;--card:#1c2026;--text:#e7eaee;--quiet:#a9b2bc;--line:#363d46;--edge:#87919c;--strong:#9cc3f5}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:36rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header,dt{color:var(--quiet);font-size:.9375rem}
header{margin:0 0 .75rem}
main{padding:1.25rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}
p{margin:0 0 1rem}
a{display:inline-block;padding:.5rem 0;color:var(--strong);font-weight:600}
bdi{font-weight:600}
dl{margin:1.25rem 0;padding:.25rem 0;border:solid var(--line);border-width:1px 0}
dl div{padding:.25rem 0}
dd{margin:0}
code{font:.9375rem/1.5 ui-monospace,monospace}
.note{padding:.75rem 1rem;border-left:.25rem solid var(--edge);background:var(--back)}
main>:last-child{margin-bottom:0}
:focus-visible{outline:.1875rem solid var(--strong);outline-offset:.1875rem}
@media(min-width:24rem){dl div{display:grid;grid-template-columns:6.75rem 1fr;align-items:baseline}}
@media(min-width:40rem){body{padding-top:8vh}main{padding:2rem}}`;

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; ` +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "cross-origin-opener-policy": "same-origin",
};

/** Title, what happened, what to do next. */
type Sentences = readonly [title: string, happened: string, next: string];

const AGAIN = "Go back to opencode and begin the sign-in again.";
const NOT_YOURS = "If somebody sent you the address, close this page. If not: " + AGAIN;

const REFUSALS = {
  notFound: [404, "Nothing is here", "This address is not one of opencode's.", "Go to opencode."],
  notAllowed: [405, "Not this way", "This page can only be opened.", "Go to opencode."],
  prefetch: [503, "Not yet", "This page is not to be fetched ahead.", "Open it when you need it."],
  noTicket: [
    404,
    "This link does not work",
    "It belongs to no sign-in that is under way, or was used in another browser.",
    NOT_YOURS,
  ],
  noAddress: [
    400,
    "The address of this opencode is not clear",
    "Signing in needs https, and the proxy in front of opencode does not say that you came by it.",
    "Tell whoever runs opencode: the proxy must pass on Host and X-Forwarded-Proto, or the plugin's option publicUrl must be set.",
  ],
  malformed: [
    400,
    "This answer cannot be used",
    "The relay's answer arrived incomplete or damaged. Nothing was changed.",
    AGAIN,
  ],
  over: [
    409,
    "This sign-in is over",
    "It was finished before, ran out of time, or opencode was restarted meanwhile.",
    "Look at opencode. If it is not signed in, begin again there.",
  ],
  wrongBrowser: [
    403,
    "Not the browser that began",
    "This sign-in was begun in another browser, or this one keeps no cookies. Nothing was changed.",
    "Begin and finish in one browser. If you did not begin this sign-in yourself, close this page.",
  ],
  refused: [
    400,
    "This answer cannot be used",
    "It is not what the relay signed for this sign-in. Nothing was changed.",
    AGAIN,
  ],
  keysUnavailable: [
    503,
    "Not finished yet",
    "The relay's keys could not be read, so its answer cannot be checked yet.",
    "Reload this page in a moment.",
  ],
  relayRefuses: [
    503,
    "The sign-in cannot begin",
    "The relay did not open it: it cannot be reached, or refuses this opencode.",
    "Try again. If it stays so, tell whoever runs opencode: the reason stands in its log.",
  ],
  failed: [
    500,
    "Not signed in",
    "You have signed in, but opencode could not take up the account.",
    "Begin again at opencode. If it stays so, tell whoever runs it: the reason stands in its log.",
  ],
} as const satisfies Record<string, readonly [number, ...Sentences]>;

const IDP_ERRORS: Readonly<Record<string, string>> = {
  access_denied: "The sign-in was declined, or your account may not do this.",
  login_required: "You were not signed in there.",
  consent_required: "The access that opencode asks for was not agreed to.",
  interaction_required: "Something there has to be answered first.",
  invalid_scope: "It does not grant what opencode asks for.",
  server_error: "Something went wrong there.",
  temporarily_unavailable: "It is too busy at the moment.",
};

export function refusal(reason: keyof typeof REFUSALS, login?: RedirectLogin, more = {}): Answer {
  const [status, ...sentences] = REFUSALS[reason];
  return page(status, sentences, about(login), more);
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
  const provider = html`<bdi>${login.provider}</bdi>`;
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
  const why = IDP_ERRORS[error ?? ""] ?? "It gave a reason that is not known here.";
  const happened = html`Signing in with <bdi>${login.provider}</bdi> did not work. ${why}`;
  return page(200, ["Not signed in", happened, AGAIN], about(login));
}

function about(login: RedirectLogin | undefined, origin?: string): Html | undefined {
  if (!login) return undefined;
  const address = origin ?? login.origin;
  return html`<dl>
${address ? html`<div><dt>opencode at</dt><dd><bdi>${new URL(address).host}</bdi></dd></div>` : ""}
<div><dt>Runs on</dt><dd><bdi>${hostname()}</bdi></dd></div>
<div><dt>Sign in with</dt><dd><bdi>${login.provider}</bdi></dd></div>
</dl>`;
}

function page(
  status: number,
  [title, happened, next]: readonly [string, string | Html, string | Html],
  details: Html | undefined,
  headers: Readonly<Record<string, string>> = {},
  link = html`<a href="/">Back to opencode</a>`,
): Answer {
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – opencode</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>opencode</header>
<main>
<h1>${title}</h1>
<p>${happened}</p>
${details ?? ""}
<p class="note">${next}</p>
<p>${link}</p>
</main>
</body>
</html>
`;
  return { status, headers: { ...HEADERS, ...headers }, body: body.text };
}

function html(parts: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  const texts = values.map((value) => (value instanceof Html ? value.text : escape(value)));
  return new Html(String.raw({ raw: parts }, ...texts));
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The link of the interstitial page. */
export function onward(ticket: string, consent: string): string {
  return `${START}?${new URLSearchParams({ ticket, consent }).toString()}`;
}
