import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness } from "../harness.js";

const MINUTE = 60_000;

test("clocks that differ are named when a sign-in begins", async () => {
  await using h = await new Harness().start();
  h.register();
  for (const [behind, says] of [
    [20 * MINUTE, /^warn .*opencode's clock is 20 minutes ahead of the relay's/],
    [-3 * MINUTE, /^warn .*opencode's clock is 3 minutes behind the relay's/],
  ] as const) {
    h.relay.behind = behind;
    h.log.length = 0;
    await h.authorize();
    assert.ok(h.logged(says), h.log.join());
  }
  h.relay.behind = MINUTE;
  h.log.length = 0;
  await h.authorize();
  assert.deepEqual(h.log, []);
});

test("an answer out of a cache is as old as it says, and tells nothing of the clock", async () => {
  await using h = await new Harness().start();
  h.register();
  h.relay.behind = 20 * MINUTE;
  h.relay.intercept = (_seen, answer) => {
    answer.setHeader("age", 20 * 60);
    return false;
  };
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  assert.match(h.hooks.auth.methods[0]!.label, /\(browser\)$/);
});

test("the label names a clock by which all that the relay signs is too old", async () => {
  await using h = await new Harness().start();
  h.relay.behind = 20 * MINUTE;
  const options = { relay: h.relay.origin, key: h.relay.key };
  await h.load(options);
  assert.match(h.hooks.auth.methods[0]!.label, /paste/); // which the relay does not sign
  h.register();
  await h.load(options);
  assert.match(h.hooks.auth.methods[0]!.label, /not working: clock 20 min ahead/);
  assert.ok(h.logged(/^error .*20 minutes ahead of the relay's.*too old/));
  h.relay.behind = 11 * MINUTE;
  await h.load(options);
  assert.match(h.hooks.auth.methods[0]!.label, /\(browser\)$/);
});
