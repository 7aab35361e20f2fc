import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness, ISSUER } from "../harness.js";
import type { Seen } from "../stub.js";

const HEADLESS = 1;

const isOffered = (h: Harness) =>
  h.hooks.auth.methods.some(({ label }) => label === "ChatGPT (headless)");

function devices(h: Harness, answers: { status: number; body?: unknown }[]): Seen[] {
  const polls: Seen[] = [];
  h.idp.intercept = (seen, answer) => {
    const reply = (status: number, body: unknown) => {
      answer.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      return true;
    };
    if (seen.path === "/api/accounts/deviceauth/usercode") {
      return reply(200, { device_auth_id: "d1", user_code: "ABCD-12345", interval: "1" });
    }
    if (seen.path !== "/api/accounts/deviceauth/token") return false;
    polls.push(seen);
    const next = answers.shift()!;
    return reply(next.status, next.body ?? {});
  };
  return polls;
}

test("headless: the code is shown, the approval polled for and redeemed", async () => {
  await using h = await new Harness().start();
  h.idp.accounts.set("c1", "acct_1");
  const approved = { authorization_code: "c1", code_verifier: "v1" };
  const polls = devices(h, [{ status: 403 }, { status: 404 }, { status: 200, body: approved }]);
  const shown = await h.authorize(HEADLESS);
  assert.equal(shown.url, `${ISSUER}/codex/device`);
  assert.match(shown.instructions, /: ABCD-12345$/);
  assert.equal(shown.method, "auto");
  assert.deepEqual(await (shown.callback as () => Promise<unknown>)(), { type: "success" });
  assert.equal(polls.length, 3);
  assert.deepEqual(JSON.parse(polls[0]!.body), { device_auth_id: "d1", user_code: "ABCD-12345" });
  assert.equal(h.accountId, "acct_1");
  const grant = Object.fromEntries(h.idp.redeemed[0]!);
  assert.equal(grant["code_verifier"], "v1");
  assert.equal(grant["redirect_uri"], `${ISSUER}/deviceauth/callback`);
});

test("headless works without a relay, and a refusal ends it", async () => {
  await using h = await new Harness().start();
  await h.load({});
  devices(h, [{ status: 400, body: { error: "expired_token" } }]);
  const shown = await h.authorize(HEADLESS);
  assert.deepEqual(await (shown.callback as () => Promise<unknown>)(), { type: "failed" });
  assert.ok(h.logged(/refuses the device login \(status 400, expired_token\)/));
});

test("a device flow that there is none of is said so, and not offered for a while", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await using h = await new Harness().start();
  assert.ok(isOffered(h));
  await assert.rejects(h.authorize(HEADLESS), /gives no device code \(status 404, .*\): it has no/);
  assert.ok(!isOffered(h));
  await h.load({});
  assert.ok(!isOffered(h), "opencode made the plugin anew");
  t.mock.timers.tick(10 * 60_000);
  assert.ok(isOffered(h));
  devices(h, []);
  await h.authorize(HEADLESS);
});

test("any other refusal leaves it offered", async () => {
  await using h = await new Harness().start();
  h.idp.intercept = (_seen, answer) => Boolean(answer.writeHead(403).end());
  await assert.rejects(h.authorize(HEADLESS), /\(status 403, .*\): it may be switched off/);
  assert.ok(isOffered(h));
});

test("it is not offered where the settings switch it off, or cannot be read", async () => {
  await using h = await new Harness().start();
  for (const headless of [false, "false", "0"]) {
    await h.load({ headless });
    assert.ok(!isOffered(h));
  }
  await h.load({ headless: "true" });
  assert.ok(isOffered(h));
  await h.load({ issuer: "https://idp.example" });
  assert.deepEqual(h.hooks.auth.methods.map(({ type }) => type), ["oauth", "api"]);
});
