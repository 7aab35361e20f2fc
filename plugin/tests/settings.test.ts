import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { SettingsError, readSettings } from "../src/settings.js";
import { keyOf } from "./keys.js";
import { DIRECT, PROXIED, STRICTER } from "./no-proxy.js";

const RELAY = { relay: "https://relay.example" };

test("a relay is meant wherever something is set that only a relay needs", () => {
  const none = [{}, { relay: " ", key: "" }, { headless: false }, { listen: "127.0.0.1:1" }];
  for (const options of none) assert.equal(readSettings(options, {}).hasRelay, false);
  const set = [RELAY, { key: "k" }, { keyFile: "/k" }, { publicUrl: "auto" }, { catcher: true }];
  for (const options of set) assert.equal(readSettings(options, {}).hasRelay, true);
  for (const name of ["OPENCODE_RELAY_URL", "OPENCODE_RELAY_KEY_FILE", "OPENCODE_PUBLIC_URL"]) {
    assert.equal(readSettings({}, { [name]: "https://relay.example" }).hasRelay, true);
  }
});

test("ChatGPT is the identity provider, whatever is set: opencode sends its tokens to OpenAI", () => {
  for (const [name, value] of [
    ["issuer", "https://idp.example"],
    ["issuer", "https://auth.openai.com"],
    ["issuer", ""],
    ["clientId", "c1"],
    ["scope", "openid"],
  ] as const) {
    const says = new RegExp(`"${name}" is none by itself: remove it.*ChatGPT.*"providers"`);
    assert.throws(() => readSettings({ ...RELAY, [name]: value }, {}), says);
  }
});

test("options win over the environment, and empty ones do not count", async () => {
  const env = { OPENCODE_RELAY_URL: "https://env.example", OPENCODE_RELAY_KEY: keyOf("env") };
  const both = readSettings({ ...RELAY, key: keyOf("option") }, env);
  assert.equal(both.relay(), "https://relay.example");
  assert.equal(await both.key(), keyOf("option"));
  const empty = readSettings({ relay: "", key: " " }, env);
  assert.equal(empty.relay(), "https://env.example");
  assert.equal(await empty.key(), keyOf("env"));
  assert.equal(await readSettings({}, {}).key(), undefined);
});

test("a key of the environment is for the environment's relay: a project may name another", async () => {
  const env = { OPENCODE_RELAY_URL: "https://env.example/", OPENCODE_RELAY_KEY: keyOf("env") };
  assert.equal(await readSettings({ relay: "https://env.example" }, env).key(), keyOf("env"));
  const { OPENCODE_RELAY_URL: _, ...alone } = env;
  for (const [options, vars] of [
    [RELAY, env],
    [RELAY, alone],
    [RELAY, { OPENCODE_RELAY_KEY_FILE: "/etc/relay.key" }],
    [{ relay: "https://env.example.evil.example" }, env],
  ] as const) {
    await assert.rejects(readSettings(options, vars).key(), /set OPENCODE_RELAY_URL to that relay/);
  }
});

test("a key file is read each time; an option for one wins over a key in the environment", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "relay-"));
  t.after(() => rm(folder, { recursive: true }));
  const keyFile = join(folder, "key");
  await writeFile(keyFile, `${keyOf("one")}\n`);
  const { key } = readSettings({ keyFile }, { OPENCODE_RELAY_KEY: keyOf("env") });
  assert.equal(await key(), keyOf("one"));
  await writeFile(keyFile, `${keyOf("two")}\n`);
  assert.equal(await key(), keyOf("two"));
  assert.equal(await readSettings({}, { OPENCODE_RELAY_KEY_FILE: keyFile }).key(), keyOf("two"));
  await rm(keyFile);
  await assert.rejects(key(), /cannot be read \(ENOENT\).*keyFile/);
});

test("what is no key is refused without being shown: it is another secret, or could not be sent", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "relay-"));
  t.after(() => rm(folder, { recursive: true }));
  const keyFile = join(folder, "key");
  await writeFile(keyFile, "ghp_secret");
  for (const options of [{ key: `${keyOf("secret")}\nmore` }, { key: "ocr_secret" }, { keyFile }]) {
    await assert.rejects(readSettings(options, {}).key(), (error: Error) => {
      assert.ok(error instanceof SettingsError);
      assert.doesNotMatch(error.message, /secret|more/);
      return true;
    });
  }
});

test("the relay is an https origin, or http on loopback", () => {
  const of = (relay: string, env = {}) => readSettings({ relay }, env).relay();
  assert.equal(of("https://relay.example/"), "https://relay.example");
  assert.equal(of("http://127.0.0.1:8787"), "http://127.0.0.1:8787");
  assert.equal(of("http://localhost:8787"), "http://localhost:8787");
  assert.equal(of("http://[::1]:8787"), "http://[::1]:8787");
  for (const relay of [
    "",
    "relay.example",
    "http://relay.example",
    "http://127.0.0.1.example",
    "http://localhost.example",
    "https://relay.example/path",
    "https://relay.example?x",
    "https://user@relay.example",
    "ftp://relay.example",
  ]) {
    assert.throws(() => of(relay), SettingsError, relay);
  }
});

test("opencode's public URL is an https origin, http on loopback, or auto", () => {
  const of = (publicUrl: string) => readSettings({ publicUrl }, {}).publicUrl();
  assert.equal(of("https://opencode.example/"), "https://opencode.example");
  assert.equal(of("https://opencode.example:8443"), "https://opencode.example:8443");
  assert.equal(of("http://127.0.0.1:4096"), "http://127.0.0.1:4096");
  assert.equal(of("auto"), "auto");
  assert.equal(of(""), undefined);
  const env = { OPENCODE_PUBLIC_URL: "https://env.example" };
  assert.equal(readSettings({}, env).publicUrl(), "https://env.example");
  assert.equal(readSettings({ publicUrl: "auto" }, env).publicUrl(), "auto");
  for (const publicUrl of [
    "opencode.example",
    "http://opencode.example",
    "https://opencode.example/path",
    "https://opencode.example?x",
    "https://user@opencode.example",
    "https://opencode.example:443",
    "Auto",
  ]) {
    assert.throws(() => of(publicUrl), /"publicUrl" or OPENCODE_PUBLIC_URL/, publicUrl);
  }
});

test("the plugin listens on loopback unless told otherwise", () => {
  const of = (listen: string, env = {}) => readSettings({ listen }, env).listen();
  assert.deepEqual(of(""), { host: "127.0.0.1", port: 4097 });
  assert.deepEqual(of("", { OPENCODE_RELAY_LISTEN: "0.0.0.0:80" }), { host: "0.0.0.0", port: 80 });
  assert.deepEqual(of("[::1]:4097"), { host: "::1", port: 4097 });
  assert.deepEqual(of("localhost:4097"), { host: "localhost", port: 4097 });
  assert.deepEqual(of("unix:/run/opencode/relay.sock"), { path: "/run/opencode/relay.sock" });
  for (const listen of ["4097", ":4097", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536"]) {
    assert.throws(() => of(listen), /"listen".*127\.0\.0\.1:4097, or unix:/, listen);
  }
  for (const listen of ["unix:relay.sock", "unix:/", "http://127.0.0.1:4097", "::1:4097"]) {
    assert.throws(() => of(listen), SettingsError, listen);
  }
});

test("a catcher is switched on and off, by the option first", () => {
  const of = (catcher: unknown, env = {}) => readSettings({ catcher }, env).catcher;
  const env = { OPENCODE_RELAY_CATCHER: "1" };
  for (const on of [true, "true", "1"]) assert.equal(of(on), true);
  for (const off of [false, "false", "0"]) assert.equal(of(off, env), false);
  assert.equal(readSettings({}, env).catcher, true);
  assert.equal(of("", env), true);
  assert.equal(readSettings({}, {}).catcher, false);
  for (const wrong of ["yes", 2, {}]) {
    assert.throws(() => of(wrong), /"catcher" \(OPENCODE_RELAY_CATCHER\)/);
  }
});

test("headless is switched off, by the option first", () => {
  const of = (headless: unknown, env = {}) => readSettings({ headless }, env).headless;
  assert.equal(readSettings({}, {}).headless, true);
  assert.equal(of(false), false);
  assert.equal(of("", { OPENCODE_RELAY_HEADLESS: "0" }), false);
  assert.equal(of("true", { OPENCODE_RELAY_HEADLESS: "0" }), true);
  assert.throws(() => of("no"), /"headless" \(OPENCODE_RELAY_HEADLESS\)/);
});

test("http to loopback is refused where a proxy would be sent it", () => {
  const relay = "http://127.0.0.1:8787";
  const of = (env: Record<string, string>, at = relay) => readSettings({ relay: at }, env).relay();
  const proxy = "http://proxy:1";
  assert.equal(of({ HTTPS_PROXY: proxy }), relay);
  assert.equal(of({ HTTP_PROXY: proxy }, "https://relay.example"), "https://relay.example");
  const refused = /127\.0\.0\.1 to NO_PROXY.*commas/;
  for (const env of [
    { HTTP_PROXY: proxy },
    { http_proxy: proxy },
    { http_proxy: "", HTTP_PROXY: proxy },
    { HTTP_PROXY: proxy, no_proxy: "other", NO_PROXY: "127.0.0.1" },
    { HTTP_PROXY: proxy, no_proxy: " ", NO_PROXY: "127.0.0.1" },
  ]) {
    assert.throws(() => of(env as Record<string, string>), refused, JSON.stringify(env));
  }
  assert.equal(of({ HTTP_PROXY: proxy, no_proxy: "", NO_PROXY: "127.0.0.1" }), relay);
  assert.equal(of({ HTTP_PROXY: proxy, no_proxy: "127.0.0.1", NO_PROXY: "other" }), relay);
});

test("NO_PROXY is read as Bun does, or more strictly", () => {
  const goes = (entries: string, host: string) => {
    const env = { HTTP_PROXY: "http://proxy:1", NO_PROXY: entries };
    return () => readSettings({ relay: `http://${host}:8787` }, env).relay();
  };
  for (const [host, entries] of DIRECT) {
    assert.equal(goes(entries, host)(), `http://${host}:8787`, JSON.stringify(entries));
  }
  for (const [host, entries] of [...PROXIED, ...STRICTER]) {
    assert.throws(goes(entries, host), SettingsError, JSON.stringify(entries));
  }
});

test("an unknown option, or one that is no string, is named", () => {
  assert.throws(() => readSettings({ keyfile: "x" }, {}), /"keyfile".*keyFile/);
  assert.throws(() => readSettings({ relay: 1 }, {}), /"relay" must be a string/);
});
