import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { HOST, Harness, ISSUER, until } from "../harness.js";

const OK = { type: "success" };
const FAILED = { type: "failed" };
const PUBLIC = `https://${HOST}`;
const s256 = (text: string) => createHash("sha256").update(text).digest("base64url");

/** The link's path and query, however it was shown. */
const pathOf = (url: string) => url.replace(PUBLIC, "");

test("a configured address: one link, no code, and the account is stored", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  assert.match(shown.url, /^https:\/\/opencode\.example\/auth\/start\?ticket=[\w-]{43}$/);
  assert.match(shown.instructions, /: none, nothing to type$/);
  const { body } = h.relay.last;
  assert.equal(body["delivery"], "redirect");
  assert.equal(body["return_url"], `${PUBLIC}/auth/callback`);
  assert.equal(body["idp_issuer"], undefined); // ChatGPT sends no iss
  assert.equal(body["confirmation"], undefined);

  const browser = h.browser();
  const begun = await browser.get(pathOf(shown.url));
  assert.equal(begun.status, 302);
  assert.equal(begun.location.origin + begun.location.pathname, `${ISSUER}/oauth/authorize`);
  const sent = Object.fromEntries(begun.location.searchParams);
  assert.equal(sent["state"], h.relay.last.state);
  assert.equal(sent["redirect_uri"], `${h.relay.origin}/auth/callback`);
  assert.match(
    String(begun.headers["set-cookie"]),
    /^__Host-opencode-relay=[\w-]{43}; Path=\/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax$/,
  );

  const done = await browser.get(await h.back(h.relay.last, { code: "c1" }));
  assert.equal(done.status, 200);
  assert.match(done.text, /<h1>Signed in<\/h1>/);
  assert.equal(done.link, "/");
  assert.deepEqual(await shown.callback(), OK);
  assert.equal(h.accountId, "acct_1");
  const grant = h.idp.redeemed[0]!;
  assert.equal(s256(grant.get("code_verifier")!), sent["code_challenge"]);
  assert.equal(grant.get("redirect_uri"), sent["redirect_uri"]);
  await until(() => h.relay.last.status === "finished" && h.disposals === 1);
  assert.equal(h.relay.count("GET", /response/), 0); // nothing is collected in this delivery
});

test("auto: the relay opens the login when the browser's request tells the address", async () => {
  await using h = await new Harness().redirecting("auto");
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  assert.match(shown.url, /^\/auth\/start\?ticket=[\w-]{43}$/);
  assert.equal(h.relay.logins.length, 0);
  const browser = h.browser();
  assert.equal((await browser.get(shown.url)).status, 302);
  assert.equal(h.relay.last.body["return_url"], `${PUBLIC}/auth/callback`);
  assert.equal((await browser.get(await h.back(h.relay.last, { code: "c1" }))).status, 200);
  assert.deepEqual(await shown.callback(), OK);
});

test("a configured address that is not registered polls, and the log has the command", async () => {
  await using h = await new Harness().redirecting(PUBLIC, []);
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  assert.match(shown.instructions, /: K7WR-9F2D$/);
  const says =
    /^warn .*publicUrl is not used for this sign-in: .*instances update stub0+ --return-url https:\/\/opencode\.example\/auth\/callback$/;
  assert.ok(h.logged(says), h.log.join());
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), OK);
  h.stored = { type: "api", key: "sk" };
  await h.hooks.dispose();
  h.stored = undefined;
  await h.hooks.dispose();
  assert.ok(!h.logged(/cancelled/)); // and nothing of it is left
});

test("a login opened in another way than was asked for is refused", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  const opens = (more: Record<string, string>) => {
    const login = { login_id: "A".repeat(22), state: "s", expires_in: 600, max_wait: 20, ...more };
    h.relay.intercept = (seen, answer) => {
      if (seen.method !== "POST") return false;
      answer.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify(login));
      return true;
    };
  };
  opens({ confirmation: "pairing_code", pairing_code: "K7WR-9F2D" });
  await assert.rejects(h.authorize(), /not as the protocol says/);
  opens({ confirmation: "none" });
  assert.match((await h.authorize()).url, /auth\/start/);
  h.relay.discovery = { deliveries_supported: ["poll"] };
  await assert.rejects(h.authorize(), /not as the protocol says/);
});

test("an address with a path, or a wrong one to listen on, polls too, and the log says so", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  const options = { relay: h.relay.origin, key: h.relay.key };
  for (const [wrong, says] of [
    [{ publicUrl: `${PUBLIC}/opencode` }, /such as https:\/\/opencode\.example; under a path it is not supported/],
    [{ publicUrl: PUBLIC, listen: "4097" }, /"listen"/],
  ] as const) {
    h.log.length = 0;
    await h.load({ ...options, ...wrong });
    assert.match(h.hooks.auth.methods[0]!.label, /via relay \(browser\)$/);
    const shown = await h.auto();
    assert.match(shown.instructions, /: K7WR-9F2D$/);
    for (const when of ["publicUrl is not used for now", "publicUrl is not used for this sign-in"]) {
      assert.ok(h.logged(new RegExp(`^warn .*${when}: .*${says.source}`)), h.log.join());
    }
  }
});

test("several people at several addresses sign in at once", async () => {
  await using h = await new Harness().redirecting("auto", [HOST, "other.example"]);
  h.idp.accounts.set("c1", "acct_1").set("c2", "acct_2");
  const one = await h.auto();
  const two = await h.auto();
  const [a, b] = [h.browser(), h.browser("other.example")];
  await a.get(one.url);
  await b.get(two.url);
  const [first, second] = h.relay.logins;
  assert.equal(second!.body["return_url"], "https://other.example/auth/callback");
  assert.equal((await b.get(await h.back(second!, { code: "c2" }))).status, 200);
  assert.deepEqual(await two.callback(), OK);
  assert.equal((await a.get(await h.back(first!, { code: "c1" }))).status, 200);
  await until(() => h.logged(/stored account acct_1, replaced account acct_2$/));
});

test("one person in two tabs: each login takes its own response", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  h.idp.accounts.set("c1", "acct_1").set("c2", "acct_2");
  const browser = h.browser();
  for (let tab = 0; tab < 2; tab += 1) await browser.get(pathOf((await h.auto()).url));
  const [first, second] = h.relay.logins;
  assert.equal((await browser.get(await h.back(first!, { code: "c1" }))).status, 200);
  assert.equal((await browser.get(await h.back(second!, { code: "c2" }))).status, 200);
  assert.equal(h.idp.redeemed.length, 2);
});

test("Disconnect ends a login, also one whose relay is just being asked", async () => {
  await using h = await new Harness().redirecting("auto");
  h.stored = { type: "api", key: "sk" };
  await h.hooks.dispose();
  const shown = await h.auto();
  h.relay.intercept = (seen) => {
    if (seen.method === "POST" && h.stored) {
      h.stored = undefined;
      void h.hooks.dispose();
    }
    return false;
  };
  const answer = await h.browser().get(shown.url);
  assert.deepEqual(await shown.callback(), FAILED);
  if (answer.status !== 302) assert.equal(answer.status, 409);
  await until(() => h.relay.last.status === "finished");
});

test("a login that nobody finishes ends, and its ticket with it", async () => {
  await using h = await new Harness().redirecting("auto");
  h.relay.expiresIn = 0.1;
  const shown = await h.auto();
  assert.deepEqual(await shown.callback(), FAILED);
  assert.ok(h.logged(/not finished in time/));
  assert.equal((await h.browser().get(shown.url)).status, 404);
});

test("where redirect cannot be used it polls instead, and says why", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  const polled = async (why: RegExp) => {
    h.log.length = 0;
    const { method, url } = await h.authorize();
    assert.ok(h.logged(why), h.log.join());
    assert.equal(h.relay.last.body["delivery"], undefined);
    assert.equal(new URL(url).origin, ISSUER);
    return method;
  };
  h.relay.redirectOffered = false; // told only when the login is opened
  assert.equal(await polled(/not used for this sign-in: .* completion code/), "auto");
  h.relay.redirectOffered = true;
  h.relay.discovery = { deliveries_supported: ["poll"] };
  assert.equal(await polled(/not used for this sign-in: .* completion code/), "auto");
  h.relay.discovery = {};
  h.relay.registered = [];
  assert.equal(await polled(/auth\/callback is not registered there, so the answer is pasted/), "code");
  h.register();
  h.relay.openEnrolment = true;
  const { origin: relay } = h.relay;
  await h.load({ relay, publicUrl: PUBLIC, listen: h.listen });
  assert.equal(await polled(/takes an instance key/), "auto");
});

test("the label asks for a paste only where the sign-in needs one", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  h.relay.discovery = { confirmations_supported: ["completion_code"] };
  const options = { relay: h.relay.origin, key: h.relay.key };
  const label = async (more: Record<string, string>) => {
    await h.load({ ...options, ...more });
    return h.hooks.auth.methods[0]!.label;
  };
  assert.match(await label({ publicUrl: PUBLIC, listen: h.listen }), /via relay \(browser\)$/);
  assert.match(await label({}), /type the code its page shows$/);
  h.relay.registered = [];
  assert.match(await label({ publicUrl: PUBLIC, listen: h.listen }), /paste/);
});
