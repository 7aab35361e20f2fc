import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

import { CLIENT_ID, Harness, ISSUER, until } from "../harness.js";
import { keyOf } from "../keys.js";

const OLD = 15_000;
const BROWSER = "ChatGPT via relay (browser)";
const WHY = (why: string) => `ChatGPT via relay – not working: ${why}, see opencode's log`;

const labels = (h: Harness) => h.hooks.auth.methods.map(({ label }) => label);
const looks = (h: Harness) => h.relay.count("GET", /opencode-relay$/);

/** Moves the clock on, asks, and asks again once the look is over. */
async function later(t: TestContext, h: Harness, says: string): Promise<void> {
  t.mock.timers.tick(OLD);
  labels(h);
  await until(() => labels(h)[0] === says);
}

function broken(h: Harness, isBroken: () => boolean): void {
  h.relay.intercept = (_seen, answer) => {
    if (isBroken()) answer.writeHead(502).end();
    return isBroken();
  };
}

test("a relay that comes up later is noticed, and one that goes", { timeout: 20_000 }, async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await using h = await new Harness().start();
  h.register();
  let down = true;
  broken(h, () => down);
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  assert.equal(labels(h)[0], WHY("no relay at its address"));
  down = false;
  await later(t, h, BROWSER);
  assert.ok(h.logged(/^info .*work again/));
  down = true;
  await later(t, h, WHY("no relay at its address"));
});

test("the list never waits, and looks once at a time, and not sooner than in seconds", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await using h = await new Harness().start();
  h.register();
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  const before = looks(h);
  labels(h);
  t.mock.timers.tick(OLD - 1);
  labels(h);
  let hung = 0;
  h.relay.intercept = () => Boolean((hung += 1)); // and never answers
  t.mock.timers.tick(1);
  for (let ask = 0; ask < 5; ask += 1) assert.equal(labels(h)[0], BROWSER);
  await until(() => hung > 0);
  assert.equal(looks(h), before + 1);
});

test("a look ends in seconds: the relay is unreachable", { timeout: 20_000 }, async () => {
  await using h = await new Harness().start();
  h.relay.intercept = () => true;
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  await until(() => labels(h)[0] === WHY("relay unreachable"));
  assert.ok(h.logged(/cannot be reached \(no answer in time\)/));
});

test("a refused key is named before anybody signs in, and a new one noticed", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  const folder = await mkdtemp(join(tmpdir(), "relay-"));
  t.after(() => rm(folder, { recursive: true }));
  const keyFile = join(folder, "key");
  await writeFile(keyFile, keyOf("wrong"));
  await using h = await new Harness().start();
  h.register();
  const options = { relay: h.relay.origin, keyFile };
  await h.load(options);
  assert.equal(labels(h)[0], WHY("key refused"));
  assert.ok(h.logged(/^error .*does not accept the instance key/));
  const tries = () => h.relay.count("POST", /logins/);
  const before = tries();
  t.mock.timers.tick(OLD);
  labels(h);
  await h.load(options);
  assert.equal(tries(), before, "the relay counts refused keys");

  await writeFile(keyFile, h.relay.key);
  await later(t, h, BROWSER);
  assert.equal(h.relay.logins.length, 0, "no login is opened to try a key");
  await rm(keyFile);
  await later(t, h, WHY("key file unreadable"));
});

test("what a sign-in finds out stands in the label, and in the log once", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await using h = await new Harness().start();
  h.register();
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  h.relay.key = keyOf("other"); // revoked meanwhile
  assert.match(await h.refused(), /does not accept/);
  assert.equal(labels(h)[0], WHY("key refused"));
  const before = looks(h);
  // A second look begins only when the first is over.
  for (const look of [1, 2]) {
    await until(() => {
      t.mock.timers.tick(OLD);
      assert.equal(labels(h)[0], WHY("key refused"));
      return looks(h) >= before + look;
    });
  }
  assert.equal(h.log.filter((line) => line.includes("does not accept")).length, 1);
  h.relay.key = keyOf("stub");
  await h.authorize();
  assert.equal(labels(h)[0], BROWSER);
});

test("a way beside the first comes and goes with what the relay offers", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await using h = await new Harness().start({ catcher: true });
  assert.equal(labels(h).length, 4);
  h.register();
  await later(t, h, BROWSER);
  assert.equal(labels(h).length, 3);
});

test("labels and sentences are one line in opencode's terminal UI, 80 wide", async () => {
  await using h = await new Harness().start({ catcher: true });
  const fits = async (methods: number[]) => {
    for (const label of labels(h)) assert.ok(label.length <= 52, label);
    for (const method of methods) {
      const { instructions } = await h.authorize(method);
      assert.ok(instructions.length <= 56, instructions);
    }
  };
  await fits([0, 1]);
  const options = { relay: h.relay.origin, key: h.relay.key };
  h.relay.discovery = { confirmations_supported: ["completion_code"] };
  await h.load({ ...options, catcher: true });
  await fits([0, 1]);
  h.register();
  await h.load(options);
  await fits([0]);
  h.relay.discovery = {};
  await h.load(options);
  await fits([0]);
  await h.load({ relay: h.relay.origin, key: keyOf("wrong") });
  assert.match(labels(h)[0]!.slice(0, 52), /not working: key refused/);
});

test("an issuer with a slash too many at the relay is no silent change to localhost", async () => {
  await using h = await new Harness().start();
  const says =
    /^warn .*counts as not registered.*spells the issuer https:\/\/auth\.openai\.com\/, which calls itself https:\/\/auth\.openai\.com$/;
  h.relay.registered = [{ issuer: `${ISSUER}/`, client_id: CLIENT_ID }];
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  assert.ok(h.logged(says), "at the start");
  h.log.length = 0;
  const { redirect_uri: sent } = Object.fromEntries(new URL((await h.code()).url).searchParams);
  assert.equal(sent, "http://localhost:1455/auth/callback");
  assert.ok(h.logged(says), "and at each sign-in");
  h.log.length = 0;
  h.relay.registered.push({ issuer: ISSUER, client_id: CLIENT_ID });
  await h.auto();
  h.relay.registered = [{ issuer: `${ISSUER}/`, client_id: "another" }];
  await h.code();
  assert.ok(!h.logged(says));
});
