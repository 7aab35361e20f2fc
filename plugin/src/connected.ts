/** Where the options come from: an entry in opencode.json, or what `opencode-relay connect` wrote. */

import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Client, Hooks } from "./opencode/interface.js";
import { logger } from "./opencode/log.js";

type Input = { client: Client; directory: string };
type Options = Readonly<Record<string, unknown>>;

const NAME = "opencode-relay.json";
/** The folders whose opencode has an entry: one process may have read two files of this plugin. */
const KEY = Symbol.for("opencode-relay: entries");
const shared = globalThis as { [KEY]?: Set<string> };

/**
 * Gives a plugin its options. opencode gives none to one that it found in its plugin folder: those
 * stand in a file beside it. It makes such a plugin last, and the last one's sign-ins are offered: so
 * it stands back where opencode.json has an entry, which is what somebody wrote by hand.
 */
export function connected(
  server: (input: Input, options: Options) => Promise<Hooks>,
  file = fileURLToPath(import.meta.url),
): (input: Input, options?: Options) => Promise<Hooks> {
  return async (input, options) => {
    const log = logger(input.client);
    const entries = (shared[KEY] ??= new Set());
    const path = join(dirname(file), NAME);
    const written = options ? undefined : await readFile(path, "utf8").catch(absent);
    if (written === undefined) {
      entries.add(input.directory);
      return await server(input, options ?? {});
    }
    if (entries.has(input.directory)) {
      const own = `${basename(file)}, which \`opencode-relay connect\` wrote`;
      log("warn", `opencode.json has an entry, which wins over ${own}: remove one of them`);
      return {} as Hooks;
    }
    return await server(input, parsed(written, path, log));
  };
}

/** A file that is there and cannot be read is no reason to take what was connected for an entry. */
function absent(error: NodeJS.ErrnoException): string | undefined {
  return error.code === "ENOENT" ? undefined : "";
}

function parsed(text: string, path: string, log: ReturnType<typeof logger>): Options {
  try {
    const options: unknown = JSON.parse(text);
    if (options && typeof options === "object" && !Array.isArray(options)) return options as Options;
  } catch {
    // The parser's words would quote the file, which has the key.
  }
  log("error", `${path} cannot be read: write it anew with \`opencode-relay connect\``);
  return {};
}
