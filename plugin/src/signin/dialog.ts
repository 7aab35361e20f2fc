/** A sign-in as opencode's dialog has it: shown, and taken up again where opencode forgets it. */

import { setTimeout as sleep } from "node:timers/promises";

import type { Authorization } from "../opencode/interface.js";
import type { Context } from "./logins.js";
import { resumable, resume } from "./showing.js";

const FIRST_METHOD = 0;

/**
 * The sign-in that `inputs` says is under way, or else the one that `begin` begins. What goes wrong
 * stands in the log, too: opencode says only that something did.
 */
export async function shown(
  context: Context,
  provider: string,
  inputs: Readonly<Record<string, string>> | undefined,
  begin: () => Promise<Authorization>,
): Promise<Authorization> {
  try {
    const shown = resume(provider, inputs?.["resume"] ?? "") ?? (await begin());
    if (shown.method === "code") return shown;
    const callback = (): ReturnType<typeof shown.callback> => {
      void takeUpAgain(context, provider);
      return shown.callback();
    };
    return { ...shown, callback };
  } catch (error) {
    context.log("error", (error as Error).message);
    throw error;
  }
}

/**
 * opencode forgets with its instance which login an input belongs to, and would refuse what a
 * person is about to paste. So the new instance is told of the login again.
 */
export async function takeUpAgain(
  { client, directory }: Context,
  provider: string,
): Promise<void> {
  await sleep(200, undefined, { ref: false });
  const token = resumable(provider, directory);
  if (!token) return;
  await client.provider.oauth
    .authorize({
      path: { id: provider },
      body: { method: FIRST_METHOD, inputs: { resume: token } },
    })
    .catch(() => undefined);
}
