/** opencode plugin: signs in through an opencode-relay. */

import { setTimeout as sleep } from "node:timers/promises";

import { version } from "../package.json";
import { type Plugin, connected } from "./connected.js";
import { whyNoListener } from "./listener/listener.js";
import { mcp as mcpServers } from "./mcp/plugin.js";
import type { Hooks, Input, Method, Options, SignInHooks } from "./opencode/interface.js";
import { logger } from "./opencode/log.js";
import { gatewayHooks, gitlabHooks } from "./providers/hooks.js";
import { type Settings, readSettings } from "./settings.js";
import { slot } from "./signin/accounts.js";
import { PROVIDER, chatgpt as target } from "./signin/chatgpt.js";
import { deviceOffered, deviceSignIn } from "./signin/device.js";
import { takeUpAgain } from "./signin/dialog.js";
import { linesOf } from "./signin/lines.js";
import type { Context } from "./signin/logins.js";

/** opencode makes the plugin anew after each sign-in. */
let said = false;

async function signIn(input: Input, options: Options): Promise<SignInHooks> {
  const log = logger(input.client);
  const context: Context = { client: input.client, directory: input.directory, log };
  const settings = (): Settings => readSettings(options, process.env);
  const { line, offer, pasted, relayed } = linesOf(context, settings, target, whyNoListener);

  if (!said) log("info", `version ${version}`);
  said = true;

  // opencode reads the labels at once, but must not wait for a relay that does not answer.
  if (hasRelay(settings)) {
    await Promise.race([offer.look(), sleep(2_000, undefined, { ref: false })]);
  }
  void target.look(log);

  const headless = line(
    () => `${target.name} (headless)`,
    () => deviceSignIn(context),
  );
  const apiKey: Method = { type: "api", label: "API key" };

  return {
    auth: {
      provider: PROVIDER,
      loader: async (read) => {
        slot(PROVIDER).useReader(read);
        await target.look(log);
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
      await target.look(log);
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
export const chatgpt = connected(signIn);
export const gitlab = connected(gitlabHooks);
export const mcp = connected(mcpServers);

const gateway = (place: number): Plugin<Hooks> =>
  connected((input, options) => gatewayHooks(input, options, place));

export const gateway1 = gateway(0);
export const gateway2 = gateway(1);
export const gateway3 = gateway(2);
export const gateway4 = gateway(3);
export const gateway5 = gateway(4);
export const gateway6 = gateway(5);
export const gateway7 = gateway(6);
export const gateway8 = gateway(7);
