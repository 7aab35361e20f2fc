/**
 * The line in opencode's list of providers: its dialog hangs on a provider, and opencode lists none
 * without a model. Nothing of it is to be taken for a model.
 */

import type { Client, Config } from "../opencode/interface.js";

export const PROVIDER = "mcp-servers";

/** opencode's commands that take or show models, and no list of providers in which to sign in. */
const WITHOUT_LIST = ["acp", "agent", "github", "models", "run"];

export function hasList(argv: readonly string[]): boolean {
  return !argv.some((argument) => WITHOUT_LIST.includes(argument));
}

interface Entry {
  models: { none: { name: string; release_date?: unknown } };
}

/**
 * Before opencode builds its list from the configuration. Whoever asks for that meanwhile, as its
 * terminal UI does first, gets nothing unless all of it is well formed.
 */
export function addEntry(config: Config): void {
  const { provider, enabled_providers: only } = config;
  config.provider = {
    ...provider,
    [PROVIDER]: {
      name: "MCP servers (via relay)",
      models: { none: { name: "no model" } },
      // Whoever names it all the same is told in words.
      options: { baseURL: "http://127.0.0.1:9", fetch: refuse },
    },
  };
  if (only) config.enabled_providers = [...only, PROVIDER];
}

/** While it is built: for its default model opencode prefers the providers of the configuration. */
export function takeBack(config: Config): void {
  const { provider = {}, enabled_providers: only } = config;
  const entry = provider[PROVIDER] as Entry | undefined;
  if (!entry) return;
  // A date that is none: opencode then counts the model, and shows it nowhere.
  entry.models.none.release_date = 0;
  const others = Object.entries(provider).filter(([id]) => id !== PROVIDER);
  if (others.length > 0) config.provider = Object.fromEntries(others);
  else delete config.provider;
  if (only) config.enabled_providers = only.filter((id) => id !== PROVIDER);
}

/**
 * Where nothing else is connected, opencode would take even this for its default model. It takes none
 * that the configuration does not name, if that names any: so there it names one that does not exist.
 */
export async function nameNobodyIfAlone(config: Config, client: Client): Promise<void> {
  if (config.provider) return;
  const asked = client._client.get({ url: "/config/providers" });
  const { data } = await asked.catch(() => ({ data: undefined }));
  const { providers } = (data ?? {}) as { providers?: readonly { id: string }[] };
  if (providers?.every(({ id }) => id === PROVIDER)) config.provider = { [NOBODY]: {} };
}

const NOBODY = "no-provider-is-connected";

/**
 * A provider whose models opencode asks plugins for while it builds the list, which is when the line
 * can be taken back: one that it knows by itself, and that is not switched off.
 */
export function witness({ disabled_providers: off = [] }: Config): string | undefined {
  const known = ["openai", "anthropic", "google", "openrouter", "opencode", "github-copilot"];
  return known.find((id) => !off.includes(id));
}

async function refuse(): Promise<Response> {
  const message = "no model is connected: connect a provider that has models";
  return Response.json({ error: { message } }, { status: 400 });
}
