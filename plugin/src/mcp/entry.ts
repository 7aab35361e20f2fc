/**
 * The line in opencode's list of providers: its dialog hangs on a provider, and opencode lists none
 * without a model. Nothing of it is to be taken for a model.
 */

import type { Config } from "../opencode/interface.js";

export const PROVIDER = "mcp-servers";

/** Before opencode builds its list from the configuration. */
export function addEntry(config: Config): void {
  const { provider, enabled_providers: only } = config;
  config.provider = {
    ...provider,
    [PROVIDER]: {
      name: "MCP servers (via relay)",
      // A date that is none: opencode shows no model that is not well formed.
      models: { none: { name: "no model", release_date: 0 } },
      // Where nothing else is connected opencode asks it all the same.
      options: { baseURL: "http://127.0.0.1:9", fetch: refuse },
    },
  };
  if (only) config.enabled_providers = [...only, PROVIDER];
}

/** Once it is built: for its default model opencode prefers the providers of the configuration. */
export function takeBack(config: Config): void {
  const { provider = {}, enabled_providers: only } = config;
  if (!(PROVIDER in provider)) return;
  const others = Object.entries(provider).filter(([id]) => id !== PROVIDER);
  if (others.length > 0) config.provider = Object.fromEntries(others);
  else delete config.provider;
  if (only) config.enabled_providers = only.filter((id) => id !== PROVIDER);
}

/**
 * A provider whose models opencode asks plugins for while it builds the list, which is when the line
 * can be taken back: one that it knows by itself, and that is not switched off.
 */
export function witness({ disabled_providers: off = [] }: Config): string {
  const known = ["openai", "anthropic", "google", "openrouter"];
  return known.find((id) => !off.includes(id)) ?? known[0]!;
}

async function refuse(): Promise<Response> {
  const message = "no model is connected: connect a provider that has models";
  return Response.json({ error: { message } }, { status: 400 });
}
