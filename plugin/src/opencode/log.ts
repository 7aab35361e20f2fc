/** opencode's log. */

import type { Client, LogEntry } from "./interface.js";

/** Writes one sentence to opencode's log. A log that fails must not fail a login. */
export type Log = (level: LogEntry["level"], message: string) => void;

/** Characters; our longest sentences have some hundred. */
const LONGEST = 2_000;

export function logger(client: Client): Log {
  return (level, message) => {
    // One line, which no terminal obeys, whosever words are in it.
    const line = message.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").slice(0, LONGEST);
    // opencode's log file drops the service, so the sentence itself says whose it is.
    const body = { service: "opencode-relay", level, message: `opencode-relay: ${line}` };
    client.app.log({ body }).catch(() => undefined);
  };
}
