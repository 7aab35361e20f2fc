/** opencode's log. */

import type { Client, LogEntry } from "./interface.js";

/** Writes one sentence to opencode's log. A log that fails must not fail a login. */
export type Log = (level: LogEntry["level"], message: string) => void;

export function logger(client: Client): Log {
  return (level, message) => {
    // opencode's log file drops the service, so the sentence itself says whose it is.
    const body = { service: "opencode-relay", level, message: `opencode-relay: ${message}` };
    client.app.log({ body }).catch(() => undefined);
  };
}
