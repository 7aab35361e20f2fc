import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Harness } from "./harness.js";

test("the plugin's version is logged at its start, and not each time opencode makes it anew", async () => {
  await using h = await new Harness().start();
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const said = h.log.filter((line) => line.includes("version"));
  assert.deepEqual(said, [`info opencode-relay: version ${version}`]);
});
