/** opencode plugin: signs in to ChatGPT through an opencode-relay. */

import { setTimeout as sleep } from "node:timers/promises";

import { version } from "../package.json";
import { connected } from "./connected.js";
import { whyNoListener } from "./listener/listener.js";
import type { Authorization, Client, Hooks, Method } from "./opencode/interface.js";
import { logger } from "./opencode/log.js";
import { type Settings, readSettings } from "./settings.js";
import { PROVIDER, noticeDisconnect, useReader } from "./signin/accounts.js";
import { relaySignIn } from "./signin/begin.js";
import { deviceOffered, deviceSignIn } from "./signin/device.js";
import type { Context } from "./signin/logins.js";
import { Offer } from "./signin/offer.js";
import { resumable, resume } from "./signin/showing.js";

const RELAY_METHOD = 0;
/** opencode makes the plugin anew after each sign-in. */
let said = false;

async function server(
  input: { client: Client; directory: string },
  options: Readonly<Record<string, unknown>>,
): Promise<Hooks> {
  const log = logger(input.client);
  const context: Context = { client: input.client, directory: input.directory, log };
  const settings = (): Settings => readSettings(options, process.env);
  const offer = new Offer(settings, whyNoListener, log);

  if (!said) log("info", `version ${version}`);
  said = true;

  // opencode reads the labels at once, but must not wait for a relay that does not answer.
  await Promise.race([offer.look(), sleep(2_000, undefined, { ref: false })]);
  void noticeDisconnect(log);

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

  const viaRelay = async (how: { pastes?: boolean } = {}): Promise<Authorization> => {
    try {
      const shown = await relaySignIn(context, settings(), whyNoListener, how);
      offer.works();
      return shown;
    } catch (error) {
      offer.fails(error as Error);
      throw error;
    }
  };

  const first: Method = {
    type: "oauth",
    get label() {
      return offer.label;
    },
    authorize: (inputs) =>
      logged(async () => resume(inputs?.["resume"] ?? "") ?? (await viaRelay())),
  };
  const pasting: Method = {
    type: "oauth",
    get label() {
      return offer.pasting;
    },
    authorize: () => logged(() => viaRelay({ pastes: true })),
  };
  const headless: Method = {
    type: "oauth",
    get label() {
      return `${offer.name} (headless)`;
    },
    authorize: () => logged(() => deviceSignIn(context, settings())),
  };
  const offersDevices = (): boolean => {
    try {
      return deviceOffered(settings());
    } catch {
      return false; // the first way's label says why
    }
  };
  const apiKey: Method = { type: "api", label: "API key" };

  return {
    auth: {
      provider: PROVIDER,
      loader: async (read) => {
        useReader(read);
        await noticeDisconnect(log);
        return {};
      },
      // opencode reads the list each time, and chooses from it by number: `first` stays first.
      get methods() {
        return [
          first,
          ...(offer.pastesToo ? [pasting] : []),
          ...(offersDevices() ? [headless] : []),
          apiKey,
        ];
      },
    },
    dispose: async () => {
      await noticeDisconnect(log);
      void takeUpAgain(context);
    },
  };
}

/**
 * opencode forgets with its instance which login an input belongs to, and would refuse what a
 * person is about to paste. So the new instance is told of the login again.
 */
async function takeUpAgain({ client, directory }: Context): Promise<void> {
  await sleep(200, undefined, { ref: false });
  const token = resumable(directory);
  if (!token) return;
  await client.provider.oauth
    .authorize({
      path: { id: PROVIDER },
      body: { method: RELAY_METHOD, inputs: { resume: token } },
    })
    .catch(() => undefined);
}

export default { id: "opencode-relay", server: connected(server) };
