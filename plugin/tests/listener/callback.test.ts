import assert from "node:assert/strict";
import { test } from "node:test";

import { exportJWK, generateKeyPair } from "jose";

import { type Browser, HOST, Harness, until } from "../harness.js";
import type { StubLogin } from "../stub.js";

const OK = { type: "success" };
const FAILED = { type: "failed" };

/** A login that a browser has begun; the identity provider knows the code `c1`. */
async function begun(h: Harness): Promise<[StubLogin, Browser, () => Promise<unknown>]> {
  await h.redirecting(`https://${HOST}`);
  h.idp.accounts.set("c1", "acct_1");
  const { url, callback } = await h.auto();
  const browser = h.browser();
  assert.equal((await browser.get(url.replace(`https://${HOST}`, ""))).status, 302);
  return [h.relay.last, browser, callback];
}

const tokens = (h: Harness) => h.idp.count("POST", /token/);

test("another browser is refused before anything is decrypted, and the login stays", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  // What cannot be decrypted is refused for its browser all the same: that is looked at first.
  const garbled = `${good.slice(0, -10)}${"A".repeat(10)}`;
  for (const path of [good, garbled]) {
    assert.equal((await h.browser().get(path)).status, 403);
    const another = h.browser();
    another.cookie = `__Host-opencode-relay=${"A".repeat(43)}`;
    assert.equal((await another.get(path)).status, 403);
    another.cookie = browser.cookie!.replace("__Host-", "");
    assert.equal((await another.get(path)).status, 403);
  }
  assert.ok(h.logged(/another browser began this login/));
  assert.equal(h.relay.count("GET", /jwks/) + tokens(h), 0);
  assert.equal((await browser.get(garbled)).status, 400);
  assert.equal((await browser.get(good)).status, 200);
  assert.deepEqual(await callback(), OK);
});

test("a cookie that a neighbour set under a name like ours is not ours", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  const { cookie } = browser;
  // Chromium takes this byte for the name's first, and lets a sibling host set it for the domain.
  const another = h.browser();
  another.cookie = `\xa0${cookie}`;
  assert.equal((await another.get(good)).status, 403);
  assert.equal(tokens(h), 0);
  browser.cookie = `\t ${cookie}\t `;
  assert.equal((await browser.get(good)).status, 200);
  assert.deepEqual(await callback(), OK);
});

test("the cookie sent twice is refused with a page that says what to do", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  const { url } = await h.auto();
  const forged = `__Host-opencode-relay=${"A".repeat(43)}`;
  for (const cookie of [
    `${browser.cookie}; ${forged}`,
    `${forged};${browser.cookie}`,
    `${browser.cookie}; ${browser.cookie}`,
    `${browser.cookie}; __Host-opencode-relay=`,
  ]) {
    for (const path of [good, url.replace(`https://${HOST}`, "")]) {
      const shown = await h.browser().get(path, { cookie });
      assert.equal(shown.status, 400, cookie);
      assert.match(shown.text, /<h1>A cookie is in the way/);
      assert.match(shown.text, /Delete the cookies of this address/);
      assert.equal(shown.headers["set-cookie"], undefined);
    }
  }
  assert.equal(tokens(h), 0);
  assert.equal((await browser.get(good)).status, 200);
  assert.deepEqual(await callback(), OK);
});

test("a response works once, however often it is sent", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  const both = await Promise.all([browser.get(good), browser.get(good)]);
  assert.ok(both.some(({ status }) => status === 200));
  for (const { status } of both) assert.ok(status === 200 || status === 409, `${status}`);
  assert.deepEqual(await callback(), OK);
  for (const reload of [1, 2]) {
    const replayed = await browser.get(good);
    assert.equal(replayed.status, 200, `${reload}`);
    assert.match(replayed.text, /<h1>Signed in<\/h1>/);
  }
  const another = h.browser();
  for (const cookie of [undefined, `__Host-opencode-relay=${"A".repeat(43)}`]) {
    another.cookie = cookie;
    const shown = await another.get(good);
    assert.equal(shown.status, 409);
    assert.match(shown.text, /This sign-in is over/);
  }
  assert.equal(tokens(h), 1);
  assert.equal(h.log.filter((line) => line.includes("stored account")).length, 1);
});

test("for its lifetime only a reload says again that it worked", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  assert.equal((await browser.get(good)).status, 200);
  assert.deepEqual(await callback(), OK);
  t.mock.timers.tick(600_000 - 1);
  assert.equal((await browser.get(good)).status, 200);
  t.mock.timers.tick(1);
  assert.equal((await browser.get(good)).status, 409);
});

test("an answer that comes too late gets a page that says so, in its own browser", async () => {
  await using h = new Harness();
  h.relay.expiresIn = 0.3;
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  assert.deepEqual(await callback(), FAILED);
  const shown = await browser.get(good);
  assert.equal(shown.status, 410);
  assert.match(shown.text, /not finished in time/);
  assert.equal((await h.browser().get(good)).status, 409);
  assert.equal(tokens(h), 0);
});

test("a second response of the same login is not redeemed beside the first", async () => {
  await using h = new Harness();
  const [login, browser] = await begun(h);
  h.idp.accounts.set("c2", "acct_2");
  await Promise.all([
    browser.get(await h.back(login, { code: "c1" })),
    browser.get(await h.back(login, { code: "c2" })),
  ]);
  assert.equal(tokens(h), 1);
});

test("nor after the first was refused: a code sent twice is revoked with all it gave", async () => {
  await using h = new Harness();
  const [login, browser] = await begun(h);
  const refused = await h.back(login, { code: "unknown" });
  const all = [refused, refused, await h.back(login, { code: "c1" })];
  const shown = await Promise.all(all.map((path) => browser.get(path)));
  // One that comes when it is over already is told so.
  for (const { status } of shown) assert.ok(status === 500 || status === 409, `${status}`);
  assert.equal(tokens(h), 1);
});

test("stray and forged requests never harm a live login", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  const stranger = await generateKeyPair("ES256");
  const [header, ...parts] = good.split(".");
  for (const [path, status] of [
    ["/auth/callback", 400],
    ["/auth/callback?response=", 400],
    ["/auth/callback?response=rubbish", 400],
    ["/auth/callback?code=c1&state=x", 400],
    ["/auth/callback?error=access_denied", 400],
    [`${good}&response=x`, 400],
    [good.replace("?", "?response=x&"), 400],
    [`${good}&code=c1`, 400],
    [`/auth/callback?response=${"A".repeat(43)}.${parts.join(".")}`, 400],
    [[header, ...parts.slice(0, 3), "AAAAAAAAAAAAAAAAAAAAAA"].join("."), 400],
    [await h.back(login, { code: "c1" }, { signWith: stranger.privateKey }), 400],
    [await h.back(login, { code: "c1" }, { claims: { aud: "another" } }), 400],
    [await h.back(login, { code: "c1" }, { claims: { iss: "https://evil.example" } }), 400],
    [await h.back(login, { code: "c1" }, { claims: { exp: 1 } }), 400],
    [await h.back(login, { code: "c1" }, { header: { typ: "login-state+jwt" } }), 400],
    [await h.back(login, { code: "c1", iss: "https://evil.example" }), 400],
    [await h.back(login, { error: "access_denied", iss: "https://evil.example" }), 400],
  ] as const) {
    const shown = await browser.get(path);
    assert.equal(shown.status, status, path);
    assert.match(shown.text, /<h1>This answer cannot be used/, path);
    assert.doesNotMatch(shown.text, /evil/, path);
  }
  const elsewhere = await generateKeyPair("ECDH-ES", { crv: "P-256" });
  const sealTo = await exportJWK(elsewhere.publicKey);
  const another = await h.back(login, { code: "c1" }, { sealTo });
  assert.equal((await browser.get(another)).status, 409);
  assert.equal(tokens(h), 0);
  assert.equal(login.status, "pending");
  assert.equal((await browser.get(good)).status, 200);
  assert.deepEqual(await callback(), OK);
});

test("an error of the identity provider ends the login; its own words are never shown", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const hostile = "<script>alert(1)</script> call 555-0100";
  const params = { error: "access_denied", error_description: hostile };
  const shown = await browser.get(await h.back(login, params));
  assert.equal(shown.status, 200);
  assert.match(shown.text, /<h1>Not signed in/);
  assert.match(shown.text, /declined/);
  assert.doesNotMatch(shown.text, /555-0100|alert|access_denied/);
  assert.deepEqual(await callback(), FAILED);
  assert.ok(h.logged(/answered access_denied \(<script>/));
  await until(() => login.status === "finished");
});

test("an error that is not known gets our own words too", async () => {
  await using h = new Harness();
  const [login, browser] = await begun(h);
  const shown = await browser.get(await h.back(login, { error: "<b>call 555-0100</b>" }));
  assert.match(shown.text, /a reason that is not known here/);
  assert.doesNotMatch(shown.text, /555-0100/);
});

test("nor is a name that every object knows taken for an error that is known", async () => {
  for (const error of ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"]) {
    await using h = new Harness();
    const [login, browser, callback] = await begun(h);
    const shown = await browser.get(await h.back(login, { error }));
    assert.equal(shown.status, 200, error);
    assert.match(shown.text, /a reason that is not known here/, error);
    assert.deepEqual(await callback(), FAILED);
  }
});

test("a code that is refused, or not there, ends the login with a page that says so", async () => {
  for (const code of ["unknown", undefined]) {
    await using h = new Harness();
    const [login, browser, callback] = await begun(h);
    const shown = await browser.get(await h.back(login, { code }));
    assert.equal(shown.status, 500);
    assert.match(shown.text, /could not take up the account/);
    const why = code ? /status 400, invalid_grant/ : /The reason: the response carries no code\./;
    assert.match(shown.text, why);
    assert.deepEqual(await callback(), FAILED);
    await until(() => login.status === "finished");
    assert.equal(h.stored, undefined);
  }
});

test("a page says the reason, but no sentence from outside", async () => {
  await using h = new Harness();
  const [login, browser] = await begun(h);
  const old = await browser.get(await h.back(login, { code: "c1" }, { claims: { exp: 1 } }));
  assert.match(old.text, /The reason: .*ERR_JWT_EXPIRED/);
  h.idp.intercept = (_seen, answer) =>
    Boolean(answer.writeHead(400).end(JSON.stringify({ error: "call 555-0100" })));
  const shown = await browser.get(await h.back(login, { code: "c1" }));
  assert.equal(shown.status, 500);
  assert.match(shown.text, /The reason: .*no OAuth error named/);
  assert.doesNotMatch(shown.text + h.log.join(), /555-0100/);
});

test("a response too old by a clock that is off says so", async () => {
  await using h = new Harness();
  h.relay.behind = 20 * 60_000;
  const [login, browser] = await begun(h);
  const old = await h.back(login, { code: "c1" }, { claims: { exp: 1 } });
  assert.match((await browser.get(old)).text, /clock is 20 minutes ahead of the relay/);
});

test("signing keys that cannot be read: the page is reloaded, the login lives", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  h.relay.intercept = (seen, answer) => {
    if (!seen.path.includes("jwks")) return false;
    answer.writeHead(503).end();
    return true;
  };
  const good = await h.back(login, { code: "c1" });
  const shown = await browser.get(good);
  assert.equal(shown.status, 503);
  assert.equal(shown.headers["retry-after"], "5");
  h.relay.intercept = undefined;
  assert.equal((await browser.get(good)).status, 200);
  assert.deepEqual(await callback(), OK);
});

test("a response to a login of before opencode's restart gets a clear page", async () => {
  await using h = new Harness();
  const [login, browser, callback] = await begun(h);
  const good = await h.back(login, { code: "c1" });
  h.stored = { type: "api", key: "sk" };
  await h.hooks.auth.loader(async () => h.stored);
  h.stored = undefined;
  await h.hooks.dispose();
  assert.deepEqual(await callback(), FAILED);
  const shown = await browser.get(good);
  assert.equal(shown.status, 409);
  assert.match(shown.text, /opencode was restarted meanwhile/);
  assert.equal(tokens(h), 0);
});

test("no ticket, cookie, response, code or token in a log or a page", async () => {
  await using h = new Harness();
  const [login, browser] = await begun(h);
  const good = await h.back(login, { code: "secret-code", state: "secret-state" });
  h.idp.accounts.set("secret-code", "acct_1");
  await h.browser().get(good);
  await browser.get(`${good.slice(0, -5)}AAAAA`);
  const shown = await browser.get(good);
  const value = browser.cookie!.split("=")[1]!;
  const verifier = h.idp.redeemed[0]!.get("code_verifier")!;
  for (const secret of [value, good.slice(-40), "secret-", "access-", "refresh-", verifier]) {
    assert.ok(!h.log.join().includes(secret), secret);
    assert.ok(!shown.text.includes(secret), secret);
  }
  assert.ok(h.log.length >= 3);
});
