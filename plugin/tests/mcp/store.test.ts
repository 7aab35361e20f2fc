import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { store } from "../../src/mcp/store.js";

let home = "";
let path = "";
before(async () => (home = await mkdtemp(join(tmpdir(), "relay-"))));
beforeEach(async () => {
  process.env["XDG_DATA_HOME"] = join(home, "data");
  process.env["XDG_STATE_HOME"] = join(home, "state");
  path = join(home, "data/opencode/mcp-auth.json");
  await rm(dirname(path), { recursive: true, force: true });
});
after(async () => {
  delete process.env["XDG_DATA_HOME"];
  delete process.env["XDG_STATE_HOME"];
  await rm(home, { recursive: true });
});

const entry = (accessToken: string) => ({ tokens: { accessToken }, serverUrl: "https://x.example/" });

const written = async (): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;

test("an entry takes the place of the one before, and leaves the others", async () => {
  await store("one", { ...entry("1"), clientInfo: { clientId: "c", clientSecret: undefined } });
  await store("two", entry("2"));
  await store("one", entry("3"));
  assert.deepEqual(await written(), { one: entry("3"), two: entry("2") });
});

test("only opencode's user can read it, whatever it was before", async () => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "{}", { mode: 0o644 });
  await store("one", entry("1"));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(dirname(path)), ["mcp-auth.json"]); // no copy is left
});

test("a file of another kind is left as it is, and named", async () => {
  await mkdir(dirname(path), { recursive: true });
  for (const text of ["[]", "no JSON", ""]) {
    await writeFile(path, text);
    await assert.rejects(store("one", entry("1")), (error: Error) => error.message.includes(path));
    assert.equal(await readFile(path, "utf8"), text);
  }
});

test("a link in its place stays one, and what a killed opencode left is removed", async () => {
  const elsewhere = join(home, "elsewhere");
  await mkdir(dirname(path), { recursive: true });
  await mkdir(elsewhere, { recursive: true });
  await writeFile(join(elsewhere, "kept.json"), "{}");
  const left = "kept.json.0b2f7b5e-9b1c-4c3e-8c55-0d6b6f1f5a77";
  for (const name of [left, "kept.json.backup"]) await writeFile(join(elsewhere, name), "");
  await symlink(join(elsewhere, "kept.json"), path);
  await store("one", entry("1"));
  assert.ok((await lstat(path)).isSymbolicLink());
  assert.deepEqual(await written(), { one: entry("1") });
  assert.deepEqual((await readdir(elsewhere)).sort(), ["kept.json", "kept.json.backup"]);
});

test("of many at once none is lost", async () => {
  const names = Array.from({ length: 20 }, (_, n) => `server-${n}`);
  await Promise.all(names.map((name) => store(name, entry(name))));
  assert.deepEqual(Object.keys(await written()).sort(), names.sort());
});
