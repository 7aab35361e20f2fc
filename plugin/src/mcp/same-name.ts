/** Two servers of one name, in two projects: opencode keeps what a server gave by its name alone. */

import { printable } from "../http.js";
import type { Config } from "../opencode/interface.js";
import type { Log } from "../opencode/log.js";
import { addressesOf } from "./servers.js";
import { forget, ofOthers } from "./store.js";

/**
 * Removes what is kept of another server of the same name, before opencode connects to any; where it
 * cannot be removed, switches off who would be sent it.
 */
export async function forgetOthers(config: Config, log: Log): Promise<void> {
  const urls = addressesOf(config);
  // Where it is not what opencode keeps there, opencode too finds nothing in it.
  const names = await ofOthers(urls).catch(() => []);
  if (names.length === 0) return;
  const all = printable(names.join(", "));
  const are = `opencode kept logins of other servers than those that it now has as ${all}`;
  try {
    await forget(urls);
    log("warn", `${are}: they are removed. Give servers of different addresses different names`);
  } catch (error) {
    const off = names.map((name) => [name, { ...config.mcp?.[name], enabled: false }]);
    config.mcp = { ...config.mcp, ...Object.fromEntries(off) };
    log("error", `${are}, and they cannot be removed (${(error as Error).message}): these servers are switched off. Remove them with: opencode mcp logout NAME`);
  }
}
