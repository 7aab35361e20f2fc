/** What the pages say where a sign-in does not go on. */

/** Title, what happened, what to do next. */
type Sentences = readonly [title: string, happened: string, next: string];

export const AGAIN = "Go back to opencode and begin the sign-in again.";
const NOT_YOURS = "If somebody sent you the address, close this page. If not: " + AGAIN;

export const REFUSALS = {
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
  late: [410, "Too late", "This sign-in was not finished in time.", AGAIN],
  wrongBrowser: [
    403,
    "Not the browser that began",
    "This sign-in was begun in another browser, or this one keeps no cookies. Nothing was changed.",
    "Begin and finish in one browser. If you did not begin this sign-in yourself, close this page.",
  ],
  doubled: [
    400,
    "A cookie is in the way",
    "Your browser sent the cookie of this sign-in twice, so another site may have set one of them. Nothing was changed.",
    "Delete the cookies of this address, and of the domain it belongs to, in your browser. Then begin the sign-in again at opencode.",
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
    "The relay did not open it.",
    "Try again. If it stays so, tell whoever runs opencode: more of it stands in its log.",
  ],
  failed: [
    500,
    "Not signed in",
    "You have signed in, but opencode could not take up the account.",
    "Begin again at opencode. If it stays so, tell whoever runs it: the same stands in its log.",
  ],
} as const satisfies Record<string, readonly [number, ...Sentences]>;

/** A `Map`, for an object would also know `constructor` and its like. */
export const IDP_ERRORS: ReadonlyMap<string, string> = new Map([
  ["access_denied", "The sign-in was declined, or your account may not do this."],
  ["login_required", "You were not signed in there."],
  ["consent_required", "The access that opencode asks for was not agreed to."],
  ["interaction_required", "Something there has to be answered first."],
  ["invalid_scope", "It does not grant what opencode asks for."],
  ["server_error", "Something went wrong there."],
  ["temporarily_unavailable", "It is too busy at the moment."],
]);
