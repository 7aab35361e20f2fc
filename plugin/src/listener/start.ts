/** `/auth/start`: where every redirect login begins, in the browser that will finish it. */

import { RelayError } from "../relay/problems.js";
import { AUTO } from "../settings.js";
import { type RedirectLogin, redirectLogins } from "../signin/redirect-login.js";
import { randomText, sameText } from "../signin/verifiers.js";
import type { Answer } from "./page.js";
import * as pages from "./pages.js";
import { type Visit, cookie } from "./visit.js";

export async function start(visit: Visit): Promise<Answer> {
  const ticket = visit.parameters?.get("ticket") ?? "";
  const login = redirectLogins().find((one) => one.isFor(ticket));
  // Without a live ticket a stranger could put an account of their own into this opencode.
  if (!login || (login.isTaken && !login.belongsTo(visit.browser))) {
    return pages.refusal("noTicket");
  }
  const origin = login.publicUrl === AUTO ? visit.origin : login.publicUrl;
  if (!origin) return pages.refusal("noAddress", login);
  const browser = visit.browser ?? randomText();
  const headers = { "set-cookie": cookie(browser) };
  const consent = login.consent(browser);
  // A link sent by a colleague must not be followed unawares. That it was followed here is proved
  // by the cookie's value, for some browsers send no Sec-Fetch-Site.
  if (!visit.sameOrigin && !sameText(visit.parameters?.get("consent") ?? "", consent)) {
    const asked = pages.interstitial(login, origin, pages.onward(ticket, consent));
    return { ...asked, headers: { ...asked.headers, ...headers } };
  }
  try {
    const location = await login.begin(browser, origin);
    return { status: 302, headers: { ...headers, location }, body: "" };
  } catch (error) {
    return notBegun(login, origin, error as Error);
  }
}

function notBegun(login: RedirectLogin, origin: string, error: Error): Answer {
  if (login.isOver) return pages.refusal("over", login);
  login.context.log("error", error.message);
  if (error instanceof RelayError && error.command) {
    return pages.unregistered(login, origin, error.command);
  }
  const why = error instanceof RelayError ? error.short : undefined;
  return pages.refusal("relayRefuses", login, {}, why);
}
