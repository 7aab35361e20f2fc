import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness, ISSUER, until } from "../harness.js";

const OK = { type: "success" };
const FAILED = { type: "failed" };

test("two people: either's success answers both, the later account replaces the earlier", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c1", "acct_1").set("c2", "acct_2");
  const one = await h.auto();
  const two = await h.auto();
  const [first, second] = h.relay.logins;
  await h.relay.release(first!, { code: "c1", iss: ISSUER });
  assert.deepEqual(await one.callback(), OK);
  assert.deepEqual(await two.callback(), OK);
  assert.equal(h.accountId, "acct_1");
  await h.relay.release(second!, { code: "c2", iss: ISSUER });
  await until(() => h.accountId === "acct_2");
  await until(() => h.logged(/stored account acct_2, replaced account acct_1$/));
});

test("Disconnect cancels the logins under way", async () => {
  await using h = await new Harness().start();
  h.register();
  h.stored = { type: "oauth", access: "a", refresh: "r", expires: 0, accountId: "acct_0" };
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  h.stored = undefined;
  await h.hooks.dispose();
  assert.deepEqual(await shown.callback(), FAILED);
  await until(() => h.relay.last.status === "cancelled");
  assert.ok(h.logged(/disconnected: 1 login\(s\) cancelled/));
});

test("Disconnect is noticed before an account is stored, with no word from opencode", async () => {
  await using h = await new Harness().start();
  h.register();
  h.stored = { type: "api", key: "sk" };
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  h.idp.intercept = (seen) => {
    if (seen.path === "/oauth/token") h.stored = undefined;
    return false;
  };
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), FAILED);
  assert.equal(h.stored, undefined);
});

test("with another provider's options set nobody is asked and nothing stored, from the start", async () => {
  await using h = await new Harness().start();
  const asked = h.relay.seen.length;
  h.log.length = 0;
  const own = { issuer: h.idp.origin, clientId: "c" };
  await h.load({ relay: h.relay.origin, key: h.relay.key, ...own });
  const says = /^error opencode-relay: the option "issuer" is none by itself/;
  assert.ok(h.logged(says));
  assert.match(await h.refused(0), says);
  assert.equal(h.hooks.auth.methods.length, 2); // and the API key
  assert.equal(h.relay.seen.length, asked);
  assert.equal(h.idp.seen.length, 0);
  assert.equal(h.stored, undefined);
});

test("an account that opencode does not store is a failure", async () => {
  await using h = await new Harness().start();
  h.register();
  h.storeFails = true;
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), FAILED);
  assert.ok(h.logged(/opencode did not store/));
});

test("accounts are named by their email address, or else by sub", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.claims.set("acct_1", { email: "alice@example.org", sub: "auth0|1" });
  h.idp.claims.set("acct_2", { sub: "auth0|2" });
  const jwt = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.`;
  const profile = { "https://api.openai.com/profile": { email: "zoe@example.org" } };
  h.stored = { type: "oauth", access: jwt(profile), refresh: "r", expires: 0 };
  h.idp.accounts.set("c1", "acct_1").set("c2", "acct_2");
  for (const code of ["c1", "c2"]) {
    const shown = await h.auto();
    await h.relay.release(h.relay.last, { code, iss: ISSUER });
    assert.deepEqual(await shown.callback(), OK);
  }
  assert.ok(h.logged(/stored account alice@example.org, replaced account zoe@example.org$/));
  assert.ok(h.logged(/stored account auth0\|2, replaced account alice@example.org$/));
});

test("an error of the token endpoint is named by its code, an object's too", async () => {
  await using h = await new Harness().start();
  h.register();
  const error = { message: "Could not validate your token.", code: "token_expired" };
  h.idp.intercept = (_seen, answer) => Boolean(answer.writeHead(401).end(JSON.stringify({ error })));
  const shown = await h.auto();
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), FAILED);
  assert.ok(h.logged(/refused the code \(status 401, token_expired\)/));
});
