/** Signing in through the relay: which way a login takes, and its beginning. */

import type { Authorization } from "../opencode/interface.js";
import { RelayError } from "../relay/problems.js";
import { AUTO, type Settings, SettingsError } from "../settings.js";
import { type Attempt, makeAttempt } from "./attempt.js";
import type { Context } from "./logins.js";
import { beginPaste } from "./paste-login.js";
import { poll } from "./polling.js";
import { RedirectLogin } from "./redirect-login.js";
import { RelayLogin } from "./relay-login.js";
import { polled, typed } from "./showing.js";
import type { Target } from "./target.js";
import { type WhyNoListener, comesBack, misspelt, noRedirect, whyNoRedirect } from "./ways.js";

/** Begins a sign-in without a relay. Throws an error whose message says what is wrong. */
export async function pasteSignIn(context: Context, target: Target): Promise<Authorization> {
  await target.look(context.log);
  return typed(beginPaste(context, target, await target.find(undefined)));
}

/** Opens a login. Throws an error whose message says what is wrong. */
export async function relaySignIn(
  context: Context,
  settings: Settings,
  target: Target,
  whyNoListener: WhyNoListener,
): Promise<Authorization> {
  await target.look(context.log);
  const attempt = await makeAttempt(context, settings, target);
  const { discovery, idp, key, redirectUri } = attempt;
  const wrong = redirectUri !== discovery.redirectUri && misspelt(discovery, idp);
  if (wrong) context.log("warn", wrong);
  let why: string | undefined;
  try {
    const publicUrl = settings.publicUrl();
    if (publicUrl === undefined) return await withoutRedirect(attempt);
    why =
      whyNoRedirect(discovery, redirectUri, settings, key) ??
      (await whyNoListener(settings, context.log));
    if (why === undefined) return await byRedirect(attempt, publicUrl);
  } catch (error) {
    why = whyNotBack(error, attempt);
    if (why === undefined) throw error;
  }
  context.log("warn", `publicUrl is not used for this sign-in: ${why}`);
  return await withoutRedirect(attempt);
}

/** Why no browser is sent back to us, where that is what went wrong. */
function whyNotBack(error: unknown, { discovery }: Attempt): string | undefined {
  if (error instanceof SettingsError) return error.message;
  if (!(error instanceof RelayError)) return undefined;
  if (error.slug === "redirect-not-offered") return noRedirect(discovery);
  return error.slug === "return-url-not-allowed" ? error.message : undefined;
}

async function byRedirect(attempt: Attempt, publicUrl: string): Promise<Authorization> {
  const { context, discovery, idp, redirectUri, secrets, target } = attempt;
  const login = new RedirectLogin(
    context,
    target,
    discovery,
    idp,
    redirectUri,
    secrets,
    (returnUrl) => attempt.open({ delivery: "redirect", return_url: returnUrl }),
    publicUrl,
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
  const where = target.where ? ` at ${target.where}` : "";
  return {
    url: login.link,
    method: "auto",
    // opencode's page shows what follows the last colon in a box "Confirmation code".
    instructions: `Sign in${where} through the link. Confirmation code: none, nothing to type`,
    callback: () => login.answered,
  };
}

async function withoutRedirect(attempt: Attempt): Promise<Authorization> {
  const { context, discovery, idp, redirectUri, secrets, settings, target } = attempt;
  if (!comesBack(discovery, redirectUri, settings)) {
    return typed(beginPaste(context, target, { idp, redirectUri }));
  }
  const opened = await attempt.open({});
  const login = new RelayLogin(context, target, discovery, idp, redirectUri, secrets).opens(opened);
  void poll(login);
  return polled(login);
}
