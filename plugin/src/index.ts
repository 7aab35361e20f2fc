/** opencode plugin: signs in to ChatGPT through an opencode-relay. */

import { setTimeout as sleep } from "node:timers/promises";

import { providerName } from "./idp/provider.js";
import { whyNoListener } from "./listener/listener.js";
import type { Authorization, Client, Hooks, Method } from "./opencode/interface.js";
import { logger } from "./opencode/log.js";
import { recall } from "./relay/discovery.js";
import { type Settings, readSettings } from "./settings.js";
import { PROVIDER, noticeDisconnect, useReader } from "./signin/accounts.js";
import { relaySignIn } from "./signin/begin.js";
import { deviceSignIn } from "./signin/device.js";
import type { Context } from "./signin/logins.js";
import { resumable, resume } from "./signin/showing.js";
import { comesBack, isRegistered, whyNoRedirect } from "./signin/ways.js";

const RELAY_METHOD = 0;
const PASTE = "paste the address of the page that did not load, or the relay's code";

async function server(
  input: { client: Client; directory: string },
  options: Readonly<Record<string, unknown>> = {},
): Promise<Hooks> {
  const log = logger(input.client);
  const context: Context = { client: input.client, directory: input.directory, log };
  const settings = (): Settings => readSettings(options, process.env);
  let name = "ChatGPT";
  let pastes = true;
  let carried = false;

  // opencode reads the labels at once, but must not wait for a relay that does not answer.
  await Promise.race([look(), sleep(2_000, undefined, { ref: false })]);
  void noticeDisconnect(log);

  async function look(): Promise<void> {
    try {
      const set = settings();
      name = providerName(set);
      carried = set.catcher;
      pastes = !carried;
      // At once: the reverse proxy has nobody to send a browser to before.
      const isPublic = set.publicUrl() !== undefined;
      const noListener = isPublic ? await whyNoListener(set, log) : undefined;
      if (noListener) log("warn", `publicUrl is not used for now: ${noListener}`);
      const found = await recall(set.relay());
      const key = await set.key();
      const redirects = isPublic && !noListener && !whyNoRedirect(found, set, key);
      pastes = !redirects && (!key || !found.pairingCodes || !comesBack(found, set));
      carried &&= !isRegistered(found, set);
    } catch (error) {
      log("error", (error as Error).message);
    }
  }

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

  const viaRelay = (how: { pastes?: boolean } = {}): Promise<Authorization> =>
    relaySignIn(context, settings(), whyNoListener, how);

  const pasting: Method = {
    type: "oauth",
    get label() {
      return `${name} via relay: ${PASTE}`;
    },
    authorize: () => logged(() => viaRelay({ pastes: true })),
  };

  return {
    auth: {
      provider: PROVIDER,
      loader: async (read) => {
        useReader(read);
        await noticeDisconnect(log);
        return {};
      },
      methods: [
        {
          type: "oauth",
          get label() {
            // In the form that takes a paste opencode shows the label and nothing else of ours.
            if (pastes) return `${name} via relay: ${PASTE}`;
            return carried
              ? `${name} via relay, if you have its browser extension or catcher (browser)`
              : `${name} via relay (browser)`;
          },
          authorize: (inputs) =>
            logged(async () => resume(inputs?.["resume"] ?? "") ?? (await viaRelay())),
        },
        // Whether a browser carries is each person's own matter.
        ...(carried && !pastes ? [pasting] : []),
        {
          type: "oauth",
          get label() {
            return `${name} (headless)`;
          },
          authorize: () => logged(() => deviceSignIn(context, settings())),
        },
        { type: "api", label: "API key" },
      ],
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

export default { id: "opencode-relay", server };
