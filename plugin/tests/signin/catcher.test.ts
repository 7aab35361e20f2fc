/** The option `catcher`: localhost's redirect URI, and something in the browser that carries on. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { HOST, Harness, ISSUER, until } from "../harness.js";

const OK = { type: "success" };
const FAILED = { type: "failed" };
const LOCALHOST = "http://localhost:1455/auth/callback";
const PASTE = 1;
const labels = (h: Harness) =>
  h.hooks.auth.methods.map(({ label }) => label.replace("ChatGPT", "").trimStart());
const HELPER = "via relay, with its extension or catcher";
const PASTED = ": paste the failed page's address";
const TYPED = "via relay: type the code its page shows";
const HEADLESS = "(headless)";

test("polling: a pairing code, though the answer goes to localhost", async () => {
  await using h = await new Harness().start({ catcher: true });
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  const sent = new URL(shown.url).searchParams;
  assert.equal(sent.get("redirect_uri"), LOCALHOST);
  assert.ok(shown.url.includes(`&redirect_uri=${LOCALHOST}&`), "as short as it can be");
  assert.equal(sent.get("state"), h.relay.last.state);
  assert.equal(h.relay.last.body["confirmation"], undefined);
  assert.match(shown.instructions, /^No page loads\? Paste instead\. .*: [0-9A-Z]{4}-[0-9A-Z]{4}$/);
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), OK);
  assert.equal(h.accountId, "acct_1");
  assert.equal(h.idp.redeemed[0]!.get("redirect_uri"), LOCALHOST);
});

test("redirect: nothing to type, though the answer goes to localhost", async () => {
  await using h = await new Harness().redirecting(`https://${HOST}`, [HOST], { catcher: true });
  h.relay.registered = [];
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  assert.match(shown.instructions, /: none, nothing to type$/);
  assert.equal(h.relay.last.body["delivery"], "redirect");
  const browser = h.browser();
  const begun = await browser.get(shown.url.replace(`https://${HOST}`, ""));
  assert.equal(begun.location.searchParams.get("redirect_uri"), LOCALHOST);
  assert.equal((await browser.get(await h.back(h.relay.last, { code: "c1" }))).status, 200);
  assert.deepEqual(await shown.callback(), OK);
  assert.equal(h.idp.redeemed[0]!.get("redirect_uri"), LOCALHOST);

  const before = h.relay.logins.length;
  assert.equal((await h.authorize(PASTE)).method, "code");
  assert.equal(h.relay.logins.length, before);
});

test("the way without pasting is first, and pasting stays offered", async () => {
  await using h = await new Harness().start({ catcher: true });
  h.idp.accounts.set("c1", "acct_1");
  assert.deepEqual(labels(h).slice(0, 2), [HELPER, PASTED]);
  const form = await h.authorize(PASTE);
  assert.equal(form.method, "code");
  assert.equal(new URL(form.url).searchParams.get("redirect_uri"), LOCALHOST);
  const address = h.page(h.state(form), { code: "c1" });
  assert.deepEqual(await form.callback(address), OK);
  assert.equal(h.accountId, "acct_1");
});

test("the address of a sign-in that shows a code is not taken by a paste", async () => {
  await using h = await new Harness().start({ catcher: true });
  await h.auto();
  const stranded = h.page(h.relay.last.state, { code: "c1" });
  assert.deepEqual(await (await h.authorize(PASTE)).callback(stranded), FAILED);
  assert.equal(h.idp.count("POST", /token/), 0);
});

test("without the option, or where the relay's address is registered, nothing changes", async () => {
  await using h = await new Harness().start({ catcher: false });
  const options = { relay: h.relay.origin };
  assert.equal((await h.authorize()).method, "code");
  assert.deepEqual(labels(h).slice(0, 2), [PASTED, HEADLESS]);
  h.register();
  await h.load({ ...options, key: h.relay.key, catcher: true });
  assert.deepEqual(labels(h).slice(0, 2), ["via relay (browser)", HEADLESS]);
  const { redirect_uri: sent } = Object.fromEntries(new URL((await h.auto()).url).searchParams);
  assert.equal(sent, `${h.relay.origin}/auth/callback`);
});

test("where the relay gives no pairing code, its own code is typed: and pasting stays offered", async () => {
  await using h = await new Harness().start();
  const options = { relay: h.relay.origin };
  h.relay.confirmation = "completion_code";
  h.relay.discovery = { confirmations_supported: ["completion_code"] };
  await h.load({ ...options, key: h.relay.key, catcher: true });
  assert.deepEqual(labels(h).slice(0, 2), [TYPED, PASTED]);
  assert.equal((await h.authorize()).method, "code");
});

test("a sign-in that types nothing does not swallow what another person pastes", async () => {
  await using h = await new Harness().start({ catcher: true });
  await h.authorize(PASTE);
  const shown = await h.auto();
  const waiting = shown.callback(); // opencode's page asks at once
  await until(() => h.taken.length === 1);
  assert.deepEqual(h.taken, ["code"]); // opencode hands what is typed to the form again
  assert.equal(h.relay.logins.length, 1);
  h.relay.last.status = "declined";
  assert.deepEqual(await waiting, FAILED);
});
