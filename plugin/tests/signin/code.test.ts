/** Something is typed or pasted into opencode: a page's address, or the relay's completion code. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness, ISSUER, until } from "../harness.js";

const OK = { type: "success" };
const FAILED = { type: "failed" };

/** A relay whose redirect URI is registered, and an instance without a key: a code is typed. */
async function typing(): Promise<Harness> {
  const h = await new Harness().start();
  h.register();
  h.relay.confirmation = "completion_code";
  return h;
}

test("paste: the localhost address is asked for, pasted, and redeemed once", async () => {
  await using h = await new Harness().start();
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  const sent = new URL(form.url).searchParams;
  assert.equal(sent.get("redirect_uri"), "http://localhost:1455/auth/callback");
  const whole = h.page(h.state(form), { code: "c1" });
  assert.deepEqual(await form.callback(` <${whole.slice(0, 60)}\n${whole.slice(60)}> `), OK);
  assert.equal(h.accountId, "acct_1");
  assert.equal(h.idp.redeemed[0]!.get("redirect_uri"), "http://localhost:1455/auth/callback");
  assert.equal(h.relay.logins.length, 0, "what is pasted needs no relay, so none is told");
});

test("without a relay pasting is the first way, and nobody but ChatGPT is asked", async () => {
  await using h = await new Harness().start();
  const before = h.relay.seen.length;
  h.log.length = 0;
  await h.load({});
  const labels = h.hooks.auth.methods.map(({ label }) => label);
  const [first, ...rest] = labels;
  assert.equal(first, "ChatGPT: paste the failed page's address");
  assert.deepEqual(rest, ["ChatGPT (headless)", "API key"]);
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  assert.deepEqual(await form.callback(h.page(h.state(form), { code: "c1" })), OK);
  assert.equal(h.relay.seen.length, before);
  assert.ok(!h.logged(/^(warn|error)/));
});

test("a relay that is out of order does not keep anybody from pasting", async () => {
  await using h = await new Harness().start();
  h.relay.intercept = (_seen, answer) => Boolean(answer.writeHead(502).end());
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.authorize(1);
  assert.equal(form.method, "code");
  assert.deepEqual(await form.callback(h.page(h.state(form), { code: "c1" })), OK);
});

test("a refused paste leaves the login as it is, and the right one works after it", async () => {
  await using h = await new Harness().start();
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  const state = h.state(form);
  const good = h.page(state, { code: "c1" });
  for (const [text, why] of [
    ["rubbish!", /neither the address/],
    [`${good}&code=c2`, /doubled/],
    [`${good}&state=${state}`, /doubled/],
    [good.replace(state, `${state}x`), /no login under way/],
    [good.replace(/&iss=[^&]*/, "&iss=https%3A%2F%2Fevil.example"), /not from https:\/\/auth\.openai\.com, its iss is https:\/\/evil\.example$/],
    [h.page(state, { error: "access_denied" }), /error of the identity provider \(access_denied\)/],
    [h.page(state, { code: "unknown-code" }), /did not work.*invalid_grant/],
    ["KTRW-9F2D", /no login waits for a completion code/],
  ] as const) {
    h.log.length = 0;
    assert.deepEqual(await form.callback(text), FAILED, text);
    assert.ok(h.logged(why), `${text}: ${h.log.join()}`);
  }
  assert.deepEqual(await form.callback(good), OK);
});

test("a paste belongs to the login of its state, whoever's form it came by", async () => {
  await using h = await new Harness().start();
  h.idp.accounts.set("c1", "acct_1").set("c2", "acct_2");
  const first = await h.code();
  const newest = await h.code();
  assert.notEqual(h.state(first), h.state(newest));
  assert.deepEqual(await newest.callback(h.page(h.state(first), { code: "c1" })), OK);
  assert.equal(h.accountId, "acct_1");
  assert.deepEqual(await newest.callback(h.page(h.state(newest), { code: "c2" })), OK);
  assert.equal(h.accountId, "acct_2");
});

test("an address is good once", async () => {
  await using h = await new Harness().start();
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  const good = h.page(h.state(form), { code: "c1" });
  const both = await Promise.all([form.callback(good), form.callback(good)]);
  assert.deepEqual(both, [OK, OK]);
  assert.equal(h.idp.count("POST", /token/), 1);
  assert.deepEqual(await form.callback(good), FAILED);
  assert.ok(h.logged(/pasted is refused: its sign-in was finished before$/));
  assert.equal(h.idp.count("POST", /token/), 1);
});

test("an address that is pasted too late is refused, and the log says that it is", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await using h = await new Harness().start();
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  const late = h.page(h.state(form), { code: "c1" });
  t.mock.timers.tick(600_001);
  for (const again of [1, 2]) {
    h.log.length = 0;
    assert.deepEqual(await form.callback(late), FAILED);
    assert.ok(h.logged(/pasted is refused: .*not finished in time/), `${again}`);
  }
  assert.equal(h.idp.count("POST", /token/), 0);
});

test("an address is refused where the relay's code is to be typed", async () => {
  await using h = await typing();
  const form = await h.code();
  const address = h.page(h.relay.last.state, { code: "c1" });
  assert.deepEqual(await form.callback(address), FAILED);
  assert.ok(h.logged(/takes the code of the relay's page: choose the way that pastes/));
  assert.equal(h.idp.count("POST", /token/), 0);
});

test("a completion code is tried only on a login that is held", async () => {
  await using h = await typing();
  h.relay.callback = { code: "c1", iss: ISSUER };
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  assert.deepEqual(await form.callback("KTRW-9F2D"), FAILED);
  assert.ok(h.logged(/no login waits for a completion code/));
  assert.equal(h.relay.count("POST", /completion/), 0);
  h.relay.last.status = "held";
  assert.deepEqual(await form.callback("KTRW-9F2E"), FAILED);
  assert.ok(h.logged(/wrong, 4 tries left/));
  assert.deepEqual(await form.callback(" ktrw 9f2d\n"), OK);
  assert.equal(h.accountId, "acct_1");
  await until(() => h.relay.last.status === "finished");
});

test("once a completion code is accepted, the relay is asked at once", { timeout: 30_000 }, async () => {
  await using h = await typing();
  h.relay.pace = "60";
  h.relay.callback = { code: "c1", iss: ISSUER };
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  await until(() => h.relay.count("GET", /response/) === 1);
  h.relay.last.status = "held";
  assert.deepEqual(await form.callback("KTRW-9F2D"), OK);
});

test("a relay that lets nobody wait is not asked before somebody can have signed in", async () => {
  await using h = await typing();
  h.relay.maxWait = 0;
  h.relay.callback = { code: "c1", iss: ISSUER };
  h.idp.accounts.set("c1", "acct_1");
  const form = await h.code();
  h.relay.last.status = "held";
  assert.deepEqual(await form.callback("KTRW-9F2D"), OK);
  // Whether it is held, and then, without a pause, for what was released.
  assert.equal(h.relay.count("GET", /response/), 2);
});

test("a completion code reaches the held login of another form, but no pending one", async () => {
  await using h = await typing();
  h.relay.callback = { code: "c1", iss: ISSUER };
  h.idp.accounts.set("c1", "acct_1");
  await h.code();
  const newest = await h.code();
  const [first, second] = h.relay.logins;
  first!.status = "held";
  assert.deepEqual(await newest.callback("KTRW-9F2D"), OK);
  assert.equal(second!.tries, 0);
  assert.equal(second!.status, "pending");
});

test("what is typed wrong in one form does not use up the tries of another", async () => {
  await using h = await typing();
  const other = await h.code();
  const form = await h.code();
  await h.load({ relay: h.relay.origin, key: h.relay.key }, "/another/project");
  await h.code();
  const [first, second, third] = h.relay.logins;
  for (const login of h.relay.logins) login.status = "held";
  for (let n = 0; n < 5; n += 1) assert.deepEqual(await form.callback("KTRW-9F2E"), FAILED);
  assert.deepEqual([first!.tries, second!.tries, third!.tries], [3, 5, 0]);
  h.relay.callback = { code: "c1", iss: ISSUER };
  h.idp.accounts.set("c1", "acct_1");
  assert.deepEqual(await other.callback("KTRW-9F2D"), OK);
});

test("where the operator wants completion codes the relay's own redirect URI is kept", async () => {
  await using h = await typing();
  const form = await h.code();
  const sent = new URL(form.url).searchParams;
  assert.equal(sent.get("redirect_uri"), `${h.relay.origin}/auth/callback`);
});

test("a form goes on working after opencode disposed its instance", async () => {
  await using h = await new Harness().start();
  await h.code();
  await h.hooks.dispose();
  await until(() => h.taken.length === 1);
  assert.deepEqual(h.taken, ["code"]);
});

test("nobody takes up a login by guessing: another token begins a login of its own", async () => {
  await using h = await typing();
  await h.code();
  await h.authorize(0, { resume: "A".repeat(43) });
  assert.equal(h.relay.logins.length, 2);
});
