/** What opencode gets to sign in to MCP servers with: a line in its list of providers. */

import { setTimeout as sleep } from "node:timers/promises";

import { whyNoListener } from "../listener/listener.js";
import type { Authorization, Client, Config, ListedHooks, Method } from "../opencode/interface.js";
import { logger } from "../opencode/log.js";
import { type Settings, readSettings } from "../settings.js";
import { pasteSignIn, relaySignIn } from "../signin/begin.js";
import { shown, takeUpAgain } from "../signin/dialog.js";
import type { Context } from "../signin/logins.js";
import type { Target } from "../signin/target.js";
import { McpError } from "./asking.js";
import { PROVIDER, addEntry, hasList, nameNobodyIfAlone, takeBack, witness } from "./entry.js";
import { closed, opened } from "./instances.js";
import { Menu } from "./menu.js";
import { ownSignIns } from "./own.js";
import { forgetOthers } from "./same-name.js";
import { type McpServer, serversOf } from "./servers.js";
import { mcpTarget } from "./sign-in.js";

// Of more than 52 characters opencode's terminal UI, 80 wide, shows no more. In the form that takes a
// paste opencode shows the label and nothing else of ours.
const FIRST = "Via relay. If asked, paste the failed page's address";
const CARRIED = "Refused the relay? With its extension or catcher";
const PASTED = "Refused the relay? Paste the failed page's address";
const ONLY = "Paste the failed page's address";

export async function mcp(
  input: { client: Client; directory: string },
  options: Readonly<Record<string, unknown>> = {},
): Promise<ListedHooks> {
  const { client, directory } = input;
  const log = logger(client);
  const context: Context = { client, directory, log };
  const settings = (): Settings => readSettings(options, process.env);
  const own = ownSignIns(options, process.env);
  const menu = new Menu(client);
  let held: Config = {};
  let servers: readonly McpServer[] = [];

  const way = (
    label: string,
    onLocalhost: boolean,
    begin: (target: Target) => Promise<Authorization>,
  ): Method => ({
    type: "oauth",
    label,
    get prompts() {
      return [menu.prompt(servers)];
    },
    authorize: (inputs) =>
      shown(context, PROVIDER, inputs, async () => {
        const server = servers.find(({ name }) => name === inputs?.["server"]);
        if (!server) throw new McpError("there is no such MCP server: reload opencode's page");
        return await begin(mcpTarget(server, context, own, onLocalhost));
      }),
  });
  const viaRelay = (target: Target): Promise<Authorization> =>
    relaySignIn(context, settings(), target, whyNoListener);
  const paste = (target: Target): Promise<Authorization> => pasteSignIn(context, target);
  const first = way(FIRST, false, viaRelay);
  const carried = way(CARRIED, true, viaRelay);
  const pasted = way(PASTED, true, paste);
  const only = way(ONLY, true, paste);
  const ways = (): readonly Method[] => {
    try {
      const { hasRelay, catcher } = settings();
      return hasRelay ? [first, ...(catcher ? [carried] : []), pasted] : [only];
    } catch {
      return [first]; // which says why in the log
    }
  };

  return {
    config: async (config) => {
      held = config;
      await forgetOthers(config, log);
      servers = serversOf(config);
      opened({ context, servers });
      if (servers.length === 0) return;
      if (!hasList(process.argv)) return;
      if (!witness(config)) {
        log("warn", `"disabled_providers" has every provider that the line of MCP servers takes: sign in with: opencode auth login --provider ${PROVIDER}`);
        return;
      }
      addEntry(config);
      // Not at once: opencode answers nothing before its plugins are loaded.
      void sleep(1_000, undefined, { ref: false }).then(() => menu.look(servers));
    },
    provider: {
      get id() {
        return witness(held) ?? PROVIDER;
      },
      models: async ({ models }) => {
        if (PROVIDER in (held.provider ?? {})) {
          takeBack(held);
          void nameNobodyIfAlone(held, client); // answered once the list is built
        }
        return models;
      },
    },
    get auth() {
      if (servers.length === 0) return undefined;
      return {
        provider: PROVIDER,
        // opencode reads the list each time, and chooses from it by number.
        get methods() {
          return ways();
        },
      };
    },
    dispose: async () => {
      closed(directory);
      void takeUpAgain(context, PROVIDER);
    },
  };
}
