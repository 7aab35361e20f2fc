import assert from "node:assert/strict";
import { test } from "node:test";

import { HOST, Harness, ISSUER } from "../harness.js";
import { keyOf } from "../keys.js";

const OK = { type: "success" };

test("auto: the address is what the first proxy says, else Host; https but on loopback", async () => {
  await using h = await new Harness().redirecting("auto");
  h.relay.returnUrls = [];
  const of = async (headers: Record<string, string>) => {
    const opened = h.relay.count("POST", /logins/);
    await h.browser().get((await h.auto()).url, {
      host: "inner:4097",
      "x-forwarded-host": "",
      "x-forwarded-proto": "",
      ...headers,
    });
    if (h.relay.count("POST", /logins/) === opened) return undefined;
    const { body } = h.relay.seen.findLast((one) => one.method === "POST")!;
    return (JSON.parse(body) as { return_url: string }).return_url.replace("/auth/callback", "");
  };
  assert.equal(await of({ host: "a.example" }), "https://a.example");
  assert.equal(await of({ host: "A.Example:443" }), "https://a.example");
  assert.equal(await of({ "x-forwarded-host": "a.example:8443" }), "https://a.example:8443");
  assert.equal(
    await of({ "x-forwarded-host": "a.example, b.example", "x-forwarded-proto": "https, http" }),
    "https://a.example",
  );
  assert.equal(await of({ host: "127.0.0.1:4097" }), "http://127.0.0.1:4097");
  assert.equal(await of({ host: "[::1]:4097" }), "http://[::1]:4097");
  assert.equal(await of({ host: "localhost", "x-forwarded-proto": "https" }), "https://localhost");
  for (const headers of [
    { host: "a.example", "x-forwarded-proto": "http" },
    { host: "a.example", "x-forwarded-proto": "javascript" },
    { host: "a.example/evil" },
    { host: "user@a.example" },
    { host: "a.example?x" },
    { host: "a.example\\@b" },
    { host: "<script>" },
    { host: "a.example:99999" },
  ]) {
    assert.equal(await of(headers), undefined, JSON.stringify(headers));
  }
});

test("a forged Host gains nothing: the relay knows the addresses, and the ticket stays free", async () => {
  await using h = await new Harness().redirecting("auto", [HOST], {});
  await h.load({
    relay: h.relay.origin,
    key: (h.relay.key = keyOf("abcdefghijkl")),
    publicUrl: "auto",
    listen: h.listen,
  });
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  const refused = await h.browser("evil.example").get(shown.url);
  assert.equal(refused.status, 403);
  assert.equal(refused.headers["location"], undefined);
  assert.equal(refused.headers["set-cookie"], undefined);
  const command =
    "opencode-relay instances update abcdefghijkl --return-url https://evil.example/auth/callback";
  assert.ok(refused.text.includes(command));
  assert.ok(h.log.some((line) => line.startsWith("error") && line.includes(command)));
  assert.ok(!refused.text.includes("secret") && !h.log.join().includes("secret"));
  assert.equal(h.relay.logins.length, 0);
  const browser = h.browser();
  assert.equal((await browser.get(shown.url)).status, 302);
  assert.equal((await browser.get(await h.back(h.relay.last, { code: "c1" }))).status, 200);
  assert.deepEqual(await shown.callback(), OK);
});

test("without a live ticket: 404, no cookie, no call to the relay", async () => {
  await using h = await new Harness().redirecting("auto");
  const { url } = await h.auto();
  const asked = h.relay.seen.length;
  for (const path of [
    "/auth/start",
    "/auth/start?ticket=",
    `/auth/start?ticket=${"A".repeat(43)}`,
    `${url}&ticket=${"A".repeat(43)}`,
    url.replace("ticket=", `ticket=${"A".repeat(43)}&ticket=`),
    url.slice(0, -1),
  ]) {
    const shown = await h.browser().get(path);
    assert.equal(shown.status, 404, path);
    assert.equal(shown.headers["set-cookie"], undefined);
  }
  assert.equal(h.relay.seen.length, asked);
});

test("a ticket is its first browser's: that one may come again, no other", async () => {
  await using h = await new Harness().redirecting("auto");
  const { url } = await h.auto();
  const one = h.browser();
  const first = await one.get(url);
  const { cookie } = one;
  const again = await one.get(url);
  assert.equal(again.location.href, first.location.href);
  assert.equal(one.cookie, cookie);
  assert.equal(h.relay.logins.length, 1);
  for (const site of ["same-origin", "none"]) {
    const other = await h.browser().from(site, url);
    assert.equal(other.status, 404);
    assert.equal(other.headers["set-cookie"], undefined);
  }
});

test("a link not from opencode's own page asks first, and says what it means", async () => {
  await using h = await new Harness().redirecting("auto");
  const { url } = await h.auto();
  for (const site of ["none", "cross-site", "same-site", ""]) {
    const asked = await h.browser().from(site, url);
    assert.equal(asked.status, 200, site);
    assert.match(asked.text, /Sign this opencode in\?/);
    assert.match(asked.text, /<bdi>opencode\.example<\/bdi>/);
    assert.match(asked.text, /<bdi>ChatGPT<\/bdi>/); // whom one signs in with
    assert.match(asked.text, /Everyone who can use this opencode will be able to use the account/);
  }
  assert.equal(h.relay.logins.length, 0); // and the ticket is still free:
  const browser = h.browser();
  const { link } = await browser.from("cross-site", url);
  const went = await browser.from("", link); // a browser that sends no Sec-Fetch-Site
  assert.equal(went.status, 302);
  assert.equal(went.location.origin, ISSUER);
});

test("the link that goes on works only in the browser that was shown the page", async () => {
  await using h = await new Harness().redirecting("auto");
  const { url } = await h.auto();
  const sender = h.browser();
  const { link } = await sender.from("none", url);
  const victim = h.browser();
  assert.equal((await victim.from("cross-site", link)).status, 200);
  assert.equal((await victim.from("cross-site", link)).status, 200); // now with a cookie
  assert.equal((await victim.from("cross-site", `${url}&consent=`)).status, 200);
  assert.equal(h.relay.logins.length, 0);
});

test("a relay that is down when the link is followed can be tried again", async () => {
  await using h = await new Harness().redirecting("auto");
  const { url } = await h.auto();
  h.relay.intercept = (seen, answer) => {
    if (seen.method !== "POST") return false;
    answer.writeHead(503).end();
    return true;
  };
  const browser = h.browser();
  const shown = await browser.get(url);
  assert.equal(shown.status, 503);
  assert.match(shown.text, /cannot begin.*The reason: relay refuses\./s);
  assert.ok(h.logged(/does not open a login \(status 503\)/));
  h.relay.intercept = undefined;
  assert.equal((await browser.get(url)).status, 302);
});
