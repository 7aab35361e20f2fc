/** Where the options come from: an entry in opencode.json, or what `opencode-relay connect` wrote. */

import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Input, Options } from "./opencode/interface.js";
import { type Log, logger } from "./opencode/log.js";

export type Plugin<H> = (input: Input, options?: Options) => Promise<H>;

const NAME = "opencode-relay.json";
/** The folders whose opencode has an entry: one process may have read two files of this plugin. */
const KEY = Symbol.for("opencode-relay: entries");
const shared = globalThis as { [KEY]?: Set<string> };

/** What was said: each of the plugin's exports would say it. */
const told = new Set<string>();

/**
 * Gives a plugin its options. opencode gives none to one that it found in its plugin folder: those
 * stand in a file beside it. It makes such a plugin last, and the last one's sign-ins are offered: so
 * it stands back where opencode.json has an entry, which is what somebody wrote by hand.
 */
export function connected<H>(
  server: (input: Input, options: Options) => Promise<H>,
  file = fileURLToPath(import.meta.url),
): Plugin<H> {
  return async (input, options) => {
    const log: Log = (level, message) => {
      if (!told.has(`${file} ${message}`)) logger(input.client)(level, message);
      told.add(`${file} ${message}`);
    };
    const entries = (shared[KEY] ??= new Set());
    const path = join(dirname(file), NAME);
    const written = options ? undefined : await readFile(path, "utf8").catch(absent);
    if (written === undefined) {
      entries.add(input.directory);
      return await server(input, options ?? {});
    }
    if (entries.has(input.directory)) {
      const own = `${basename(file)}, which \`opencode-relay connect\` wrote`;
      log("warn", `${own}, yields to the entry of opencode.json: remove one of them`);
      return {} as H;
    }
    return await server(input, parsed(written, path, log));
  };
}

/** A file that is there and cannot be read is no reason to take what was connected for an entry. */
function absent(error: NodeJS.ErrnoException): string | undefined {
  return error.code === "ENOENT" ? undefined : "";
}

function parsed(text: string, path: string, log: Log): Options {
  try {
    const options: unknown = JSON.parse(text);
    if (options && typeof options === "object" && !Array.isArray(options)) return options as Options;
  } catch {
    // The parser's words would quote the file, which has the key.
  }
  log("error", `${path} cannot be read: write it anew with \`opencode-relay connect\``);
  return {};
}
