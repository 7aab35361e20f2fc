/** Signing in through the relay: which way a login takes, and its beginning. */

import { providerName } from "../idp/provider.js";
import type { Authorization } from "../opencode/interface.js";
import type { Log } from "../opencode/log.js";
import { RelayError } from "../relay/problems.js";
import { AUTO, type Settings, SettingsError } from "../settings.js";
import { noticeDisconnect } from "./accounts.js";
import { type Attempt, makeAttempt } from "./attempt.js";
import type { Context } from "./logins.js";
import { poll } from "./polling.js";
import { RedirectLogin } from "./redirect-login.js";
import { RelayLogin } from "./relay-login.js";
import { authorization } from "./showing.js";
import { comesBack, misspelt, noRedirect, whyNoRedirect } from "./ways.js";

/** Why no browser can reach this process, if none can. */
type WhyNoListener = (settings: Settings, log: Log) => Promise<string | undefined>;

/**
 * Opens a login. Throws an error whose message says what is wrong.
 *
 * `pastes`: the person has asked for the way in which they paste or type into opencode.
 */
export async function relaySignIn(
  context: Context,
  settings: Settings,
  whyNoListener: WhyNoListener,
  { pastes = false } = {},
): Promise<Authorization> {
  await noticeDisconnect(context.log);
  const attempt = await makeAttempt(context, settings);
  const wrong = misspelt(attempt.discovery, settings);
  if (wrong) context.log("warn", wrong);
  if (pastes) return await byPolling(attempt, pastes);
  let why: string | undefined;
  try {
    const publicUrl = settings.publicUrl();
    if (publicUrl === undefined) return await byPolling(attempt);
    const { discovery, key } = attempt;
    why = whyNoRedirect(discovery, settings, key) ?? (await whyNoListener(settings, context.log));
    if (why === undefined) return await byRedirect(attempt, publicUrl);
  } catch (error) {
    why = whyNotBack(error, attempt);
    if (why === undefined) throw error;
  }
  context.log("warn", `publicUrl is not used, this sign-in polls: ${why}`);
  return await byPolling(attempt);
}

/** Why no browser is sent back to us, where that is what went wrong. */
function whyNotBack(error: unknown, { discovery }: Attempt): string | undefined {
  if (error instanceof SettingsError) return error.message;
  if (!(error instanceof RelayError)) return undefined;
  if (error.slug === "redirect-not-offered") return noRedirect(discovery);
  return error.slug === "return-url-not-allowed" ? error.message : undefined;
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
  void poll(login);
  return authorization(login);
}
