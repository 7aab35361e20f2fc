/** opencode plugin: signs in through an opencode-relay. */

import { setTimeout as sleep } from "node:timers/promises";

import { version } from "../package.json";
import { whyNoListener } from "./listener/listener.js";
import type { Authorization, Client, Hooks, Method } from "./opencode/interface.js";
import { logger } from "./opencode/log.js";
import { type Settings, readSettings } from "./settings.js";
import { slot } from "./signin/accounts.js";
import { pasteSignIn, relaySignIn } from "./signin/begin.js";
import { PROVIDER, chatgpt } from "./signin/chatgpt.js";
import { deviceOffered, deviceSignIn } from "./signin/device.js";
import { shown, takeUpAgain } from "./signin/dialog.js";
import type { Context } from "./signin/logins.js";
import { Offer, PASTE } from "./signin/offer.js";

/** opencode makes the plugin anew after each sign-in. */
let said = false;

async function server(
  input: { client: Client; directory: string },
  options: Readonly<Record<string, unknown>> = {},
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

  const viaRelay = async (): Promise<Authorization> => {
    try {
      const begun = await relaySignIn(context, settings(), chatgpt, whyNoListener);
      offer.works();
      return begun;
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
    authorize: (inputs) => shown(context, PROVIDER, inputs, begin),
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
      void takeUpAgain(context, PROVIDER);
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
 * opencode calls every export of this module anew with each of its instances, with the options of
 * the package's one entry in opencode.json, and takes the sign-in of one provider from each. A default
 * export with a `server` would be the only one that it calls.
 */
export { server as chatgpt };
export { mcp } from "./mcp/plugin.js";
