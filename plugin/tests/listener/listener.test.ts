import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { listening } from "../../src/listener/listener.js";
import * as pages from "../../src/listener/pages.js";
import type { RedirectLogin } from "../../src/signin/redirect-login.js";
import { HOST, Harness } from "../harness.js";
import { SLOW, talk } from "../slow.js";

const PUBLIC = `https://${HOST}`;
const PATHS = ["/auth/start", "/auth/callback"];

test("every answer carries the headers of the protocol's pages, and no script", async () => {
  await using h = await new Harness().redirecting("auto");
  const { url } = await h.auto();
  const browser = h.browser();
  const shown = [
    await browser.from("none", url),
    await browser.get(url),
    await browser.get(await h.back(h.relay.last, { error: "access_denied" })),
    await browser.get("/auth/callback"),
    await browser.get("/auth/start"),
    await browser.get("/auth/other"),
    await browser.get("/auth/start", {}, "POST"),
  ];
  assert.deepEqual(
    shown.map(({ status }) => status),
    [200, 302, 200, 400, 404, 404, 405],
  );
  for (const { status, headers, text } of shown) {
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.match(String(headers["strict-transport-security"]), /^max-age=\d+$/);
    if (status === 302) continue;
    assert.equal(headers["cross-origin-opener-policy"], "same-origin");
    const policy = String(headers["content-security-policy"]);
    for (const rule of [
      "default-src 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ]) {
      assert.ok(policy.split("; ").includes(rule), rule);
    }
    assert.doesNotMatch(policy, /unsafe|script-src|https?:|\*/);
    assert.match(text, /<html lang="en">/);
    assert.match(text, /color-scheme" content="light dark"/);
    assert.match(text, /name="viewport"/);
    assert.doesNotMatch(text, /<script|\son\w+=|javascript:|src=|url\(|http-equiv/i);
  }
});

test("names are escaped and kept apart from the words around them", () => {
  const hostile = "<img src=x onerror=alert(1)>\"'&";
  const login = { target: { name: hostile }, origin: "https://opencode.example" } as RedirectLogin;
  for (const { body } of [
    pages.interstitial(login, login.origin!, `/x?a=1&b=${hostile}`),
    pages.unregistered(login, login.origin!, hostile),
    pages.idpError(login, hostile),
    pages.done(login),
  ]) {
    assert.doesNotMatch(body, /<img|"'&[^#]/);
    assert.match(body, /<bdi>&#60;img src=x onerror=alert\(1\)&#62;&#34;&#39;&#38;<\/bdi>/);
  }
});

test("no Strict-Transport-Security over http", async () => {
  await using h = await new Harness().redirecting("auto");
  const over = { host: "localhost:1", "x-forwarded-host": "", "x-forwarded-proto": "" };
  const { headers } = await h.browser().get("/auth/start", over);
  assert.equal(headers["strict-transport-security"], undefined);
});

test("only GET acts: HEAD, POST and a prefetch leave the login as it is", async () => {
  await using h = await new Harness().redirecting("auto");
  const { url } = await h.auto();
  for (const method of ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"]) {
    const shown = await h.browser().get(url, {}, method);
    assert.equal(shown.status, 405, method);
    assert.equal(shown.headers["allow"], "GET");
  }
  for (const [name, value] of [
    ["sec-purpose", "prefetch"],
    ["sec-purpose", "prefetch;prerender"],
    ["Sec-Purpose", "Prefetch;anonymous-client-ip"],
    ["sec-purpose", "prerender"],
    ["Purpose", "prefetch"],
    ["purpose", "PREVIEW"],
    ["X-Purpose", "preview"],
    ["X-Moz", "prefetch"],
    ["x-moz", "Prerender"],
  ] as const) {
    const fetched = await h.browser().get(url, { [name]: value });
    assert.equal(fetched.status, 503, `${name}: ${value}`);
    assert.ok(fetched.headers["retry-after"]);
    assert.equal(fetched.headers["set-cookie"], undefined);
  }
  assert.equal(h.relay.logins.length, 0);
  assert.equal((await h.browser().get(url)).status, 302);
});

test("doctor's marks: the two paths lead here; a password that the proxy let through", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  for (const path of PATHS) {
    const { headers } = await h.browser().get(path);
    assert.equal(headers["opencode-relay"], "instance");
    assert.equal(headers["opencode-relay-authorization"], undefined);
  }
  for (const path of [...PATHS, ...PATHS]) {
    const { headers, text } = await h.browser().get(path, { authorization: "Basic c2VjcmV0" });
    assert.equal(headers["opencode-relay"], "instance");
    assert.equal(headers["opencode-relay-authorization"], "present");
    assert.doesNotMatch(text, /c2VjcmV0/);
  }
  const warnings = h.log.filter((line) => /passes on Authorization/.test(line));
  assert.equal(warnings.length, 1);
  assert.doesNotMatch(warnings[0]!, /c2VjcmV0/);
  // So that a proxy which sends all of /auth/ here is found.
  assert.equal((await h.browser().get("/auth/openai")).headers["opencode-relay"], "instance");
});

test("the listener starts with the plugin and outlives its instances", async () => {
  await using h = await new Harness().redirecting(PUBLIC);
  assert.equal((await h.browser().get("/auth/start")).status, 404);
  await h.hooks.dispose();
  assert.equal((await h.browser().get("/auth/start")).status, 404);
});

test("what sends nothing, or does not end, is ended", { timeout: 10_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "relay-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "socket");
  await listening({ path }, () => undefined, 150);
  await Promise.all(
    SLOW.map(async ([what, text, drip, status]) => {
      const heard = await talk(path, text, drip, t.signal);
      if (!status) return;
      assert.match(heard, new RegExp(`^HTTP/1.1 ${status} .*</html>`, "s"), what);
      assert.match(heard, /^connection: close\r$/im, what);
    }),
  );
});

test("an address that is taken: polls, says so, and uses it once it is free", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  await using h = await new Harness().redirecting(PUBLIC, [HOST], { listen: `127.0.0.1:${port}` });
  const taken = /127\.0\.0\.1:\d+ is in use, perhaps by another opencode.*OPENCODE_RELAY_LISTEN/;
  assert.ok(h.log.some((line) => line.startsWith("warn") && taken.test(line)));
  h.log.length = 0;
  const polled = await h.authorize();
  assert.match(polled.instructions, /K7WR-9F2D$/);
  assert.ok(h.logged(taken));
  await new Promise((resolve) => other.close(resolve));
  assert.match((await h.authorize()).url, /auth\/start/);
  const { headers } = await fetch(`http://127.0.0.1:${port}/auth/start`);
  assert.equal(headers.get("opencode-relay"), "instance");
});

test("an address that cannot be had is named", async () => {
  const at = { host: "192.0.2.1", port: 4097 };
  await assert.rejects(
    listening(at, () => undefined),
    /192\.0\.2\.1:4097 cannot be listened on \(EADDRNOTAVAIL\).*"listen"/,
  );
});

test("a Unix socket; one that a dead process left is taken over, anything else is not", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "relay-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "socket");
  const code = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log(1))`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  const log = () => undefined;
  await assert.rejects(listening({ path }, log), /unix:.*socket is in use/);
  child.kill("SIGKILL");
  await once(child, "exit");
  await listening({ path }, log);
  const found = await stat(path);
  assert.ok(found.isSocket());
  assert.equal(found.mode & 0o777, 0o666);

  const file = join(folder, "file");
  await writeFile(file, "precious");
  await assert.rejects(listening({ path: file }, log), /is in use/);
  assert.ok((await stat(file)).isFile());
});
