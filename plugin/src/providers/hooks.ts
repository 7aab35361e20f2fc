/** What opencode is given for a gateway, and for GitLab. */

import { whyNoListener } from "../listener/listener.js";
import type { Hooks, Input, Options } from "../opencode/interface.js";
import { logger } from "../opencode/log.js";
import { type Settings, readSettings } from "../settings.js";
import { slot } from "../signin/accounts.js";
import { takeUpAgain } from "../signin/dialog.js";
import { linesOf } from "../signin/lines.js";
import { type Reader, accessToken } from "./access.js";
import { baseUrl, checkGlobal } from "./base-url.js";
import { GITLAB, gitlabTarget, isOwn } from "./gitlab.js";
import { readGateway } from "./option.js";
import { PLACEHOLDER, withToken } from "./requests.js";
import { gatewayTarget } from "./target.js";

/** opencode makes the plugin anew with each instance. */
const said = new Set<string>();

function once(log: (message: string) => void, message: string): void {
  if (!said.has(message)) log(message);
  said.add(message);
}

/** The plugin for one entry of the option `providers`. */
export async function gatewayHooks(
  { client, directory }: Input,
  options: Options,
  place: number,
): Promise<Hooks> {
  const log = logger(client);
  const complain = (message: string): void => once((text) => log("error", text), message);
  let gateway;
  try {
    gateway = readGateway(options["providers"], place, process.env);
  } catch (error) {
    complain((error as Error).message);
  }
  if (!gateway) return {};
  const { id } = gateway;
  const target = gatewayTarget(gateway);
  const context = { client, directory, log };
  const settings = (): Settings => readSettings(options, process.env);
  const { offer, relayed } = linesOf(context, settings, target, whyNoListener, "browser");
  let base: URL | undefined;
  return {
    config: async (config) => {
      try {
        base = baseUrl(config, id, process.env);
        if (base) void offer.look();
        else complain(`opencode.json has no provider "${id}", which the option "providers" names: add it`);
      } catch (error) {
        complain((error as Error).message);
      }
    },
    // opencode fails altogether if a provider has a sign-in that its configuration does not name.
    get auth() {
      const at = base;
      return (
        at && {
          provider: id,
          methods: [relayed],
          loader: async (read: Reader) => {
            slot(id).useReader(read);
            await target.look(log);
            return {
              apiKey: PLACEHOLDER,
              fetch: withToken(at, async () => {
                await checkGlobal(at, id, client);
                return await accessToken(gateway, read, client, log);
              }),
            };
          },
        }
      );
    },
    dispose: async () => {
      await target.look(log);
      void takeUpAgain(context, id);
    },
  };
}

/** The plugin for GitLab, where the option `gitlab` is on. */
export async function gitlabHooks({ client, directory }: Input, options: Options = {}): Promise<Hooks> {
  const log = logger(client);
  const settings = (): Settings => readSettings(options, process.env);
  try {
    if (!settings().gitlab) return {};
  } catch {
    return {}; // ChatGPT's own line says why
  }
  const target = gitlabTarget(process.env);
  const context = { client, directory, log };
  const lines = linesOf(context, settings, target, whyNoListener, "browser");
  const own = isOwn(process.env);
  if (own) void lines.offer.look();
  return {
    auth: {
      provider: GITLAB,
      methods: [
        own ? lines.relayed : lines.pasted,
        { type: "api", label: "GitLab Personal Access Token" },
      ],
      // The token is opencode's own loader's to use and to refresh.
      loader: async (read) => {
        slot(GITLAB).useReader(read);
        await target.look(log);
        return {};
      },
    },
    dispose: async () => {
      await target.look(log);
      void takeUpAgain(context, GITLAB);
    },
  };
}
