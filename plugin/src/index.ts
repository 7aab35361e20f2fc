/** opencode plugin: signs in through an opencode-relay. */

import { setTimeout as sleep } from "node:timers/promises";

import { version } from "../package.json";
import { connected } from "./connected.js";
import { whyNoListener } from "./listener/listener.js";
import type { Authorization, Client, Hooks, Method } from "./opencode/interface.js";
import { logger } from "./opencode/log.js";
import { type Settings, readSettings } from "./settings.js";
import { slot } from "./signin/accounts.js";
import { pasteSignIn, relaySignIn } from "./signin/begin.js";
import { PROVIDER, chatgpt } from "./signin/chatgpt.js";
import { deviceOffered, deviceSignIn } from "./signin/device.js";
import type { Context } from "./signin/logins.js";
import { Offer, PASTE } from "./signin/offer.js";
import { resumable, resume } from "./signin/showing.js";

const FIRST_METHOD = 0;
/** opencode makes the plugin anew after each sign-in. */
let said = false;

async function server(
  input: { client: Client; directory: string },
  options: Readonly<Record<string, unknown>>,
): Promise<Hooks> {
  const log = logger(input.client);
  const context: Context = { client: input.client, directory: input.directory, log };
  const settings = (): Settings => readSettings(options, process.env);
  const offer = new Offer(chatgpt, settings, whyNoListener, log);

  if (!said) log("info", `version ${version}`);
  said = true;

  // opencode reads the labels at once, but must not wait for a relay that does not answer.
  if (hasRelay(settings)) {
    await Promise.race([offer.look(), sleep(2_000, undefined, { ref: false })]);
  }
  void chatgpt.look(log);

  const logged = async (signIn: () => Promise<Authorization>): Promise<Authorization> => {
    try {
      const shown = await signIn();
      if (shown.method === "code") return shown;
      const callback = (): ReturnType<typeof shown.callback> => {
        void takeUpAgain(context);
        return shown.callback();
      };
      return { ...shown, callback };
    } catch (error) {
      log("error", (error as Error).message);
      throw error;
    }
  };

  const viaRelay = async (): Promise<Authorization> => {
    try {
      const shown = await relaySignIn(context, settings(), chatgpt, whyNoListener);
      offer.works();
      return shown;
    } catch (error) {
      offer.fails(error as Error);
      throw error;
    }
  };

  const way = (label: () => string, begin: () => Promise<Authorization>): Method => ({
    type: "oauth",
    get label() {
      return label();
    },
    authorize: (inputs) =>
      logged(async () => resume(PROVIDER, inputs?.["resume"] ?? "") ?? (await begin())),
  });
  const relayed = way(() => offer.label, viaRelay);
  const pasted = way(
    () => `${chatgpt.name}: ${PASTE}`,
    () => pasteSignIn(context, chatgpt),
  );
  const headless = way(
    () => `${chatgpt.name} (headless)`,
    () => deviceSignIn(context),
  );
  const apiKey: Method = { type: "api", label: "API key" };

  return {
    auth: {
      provider: PROVIDER,
      loader: async (read) => {
        slot(PROVIDER).useReader(read);
        await chatgpt.look(log);
        return {};
      },
      // opencode reads the list each time, and chooses from it by number.
      get methods() {
        return [
          ...(hasRelay(settings) ? [relayed] : [pasted]),
          ...(hasRelay(settings) && offer.pastesToo ? [pasted] : []),
          ...(offersDevices(settings) ? [headless] : []),
          apiKey,
        ];
      },
    },
    dispose: async () => {
      await chatgpt.look(log);
      void takeUpAgain(context);
    },
  };
}

/** True, too, where what is set cannot be read: then the way through the relay says why. */
function hasRelay(settings: () => Settings): boolean {
  try {
    return settings().hasRelay;
  } catch {
    return true;
  }
}

function offersDevices(settings: () => Settings): boolean {
  try {
    return settings().headless && deviceOffered();
  } catch {
    return false; // the first way's label says why
  }
}

/**
 * opencode forgets with its instance which login an input belongs to, and would refuse what a
 * person is about to paste. So the new instance is told of the login again.
 */
async function takeUpAgain({ client, directory }: Context): Promise<void> {
  await sleep(200, undefined, { ref: false });
  const token = resumable(PROVIDER, directory);
  if (!token) return;
  await client.provider.oauth
    .authorize({
      path: { id: PROVIDER },
      body: { method: FIRST_METHOD, inputs: { resume: token } },
    })
    .catch(() => undefined);
}

export default { id: "opencode-relay", server: connected(server) };
