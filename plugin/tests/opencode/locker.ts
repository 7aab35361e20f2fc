/** A process of its own that asks for the lock, and says when it has it. */

import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { withLock } from "../../src/opencode/lock.js";

const lines = process.argv[2]!;
await withLock("of all", async () => {
  await appendFile(lines, "begins\n");
  await sleep(50);
  await appendFile(lines, "ends\n");
});
