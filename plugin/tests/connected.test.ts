import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

import { connected } from "../src/connected.js";
import type { Client, Hooks } from "../src/opencode/interface.js";

type Options = Readonly<Record<string, unknown>>;

const RELAY = { relay: "https://relay.example", key: "ocr_secret" };

/** One opencode: `found` is the plugin of its folder, `entered` that of an entry. */
async function opencode(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "relay-"));
  t.after(() => rm(folder, { recursive: true }));
  const made: Options[] = [];
  const log: string[] = [];
  const server = async (_: unknown, options: Options): Promise<Hooks> => {
    made.push(options);
    return { dispose: async () => undefined } as Hooks;
  };
  const say = async (said: { body: { level: string; message: string } }) =>
    void log.push(`${said.body.level} ${said.body.message}`);
  const client = { app: { log: say } } as unknown as Client;
  const input = { client, directory: folder };
  const entered = connected(server, join(folder, "node_modules", "index.js"));
  const found = connected(server, join(folder, "opencode-relay-1.2.3.js"));
  return {
    made,
    log,
    settings: join(folder, "opencode-relay.json"),
    entry: (options?: Options) => entered(input, options),
    folder: () => found(input),
    elsewhere: () => found({ ...input, directory: "/elsewhere" }),
  };
}

test("without an entry the options are those of the file beside the plugin", async (t) => {
  const one = await opencode(t);
  await writeFile(one.settings, JSON.stringify(RELAY));
  await one.folder();
  await writeFile(one.settings, JSON.stringify({ ...RELAY, catcher: true }));
  await one.folder();
  assert.deepEqual(one.made, [RELAY, { ...RELAY, catcher: true }]);
  assert.deepEqual(one.log, []);
});

test("an entry's options are its own, and those of the environment alone where it has none", async (t) => {
  const one = await opencode(t);
  await writeFile(one.settings, "{}");
  await one.entry(RELAY);
  await one.entry();
  assert.deepEqual(one.made, [RELAY, {}]);
});

for (const options of [RELAY, undefined]) {
  test(`an entry ${options ? "with" : "without"} options wins, and the log names the file`, async (t) => {
    const one = await opencode(t);
    await writeFile(one.settings, JSON.stringify({ relay: "https://other.example" }));
    await one.entry(options);
    assert.deepEqual(await one.folder(), {});
    assert.deepEqual(one.made, [options ?? {}]);
    assert.equal(one.log.length, 1);
    assert.match(one.log[0]!, /^warn .*opencode-relay-1\.2\.3\.js, .*connect.*, yields to the entry/);
  });
}

test("another folder's entry leaves the connected plugin alone", async (t) => {
  const one = await opencode(t);
  await writeFile(one.settings, JSON.stringify(RELAY));
  await one.entry({ relay: "https://other.example" });
  await one.elsewhere();
  assert.deepEqual(one.made[1], RELAY);
});

for (const broken of ['{"key": "ocr_secret"', "[]", "null", '"ocr_secret"', ""]) {
  test(`a file that is no object is named and not quoted: ${broken}`, async (t) => {
    const one = await opencode(t);
    await writeFile(one.settings, broken);
    await one.folder();
    assert.deepEqual(one.made, [{}]);
    assert.match(one.log.join(), /^error .*opencode-relay\.json cannot be read: .*connect`$/);
    assert.doesNotMatch(one.log.join(), /secret/);
  });
}

test("a file that cannot be read is named, and is no entry", async (t) => {
  const one = await opencode(t);
  await mkdir(one.settings);
  await one.folder();
  assert.match(one.log.join(), /^error .*cannot be read/);
  await one.folder();
  assert.equal(one.made.length, 2);
});
