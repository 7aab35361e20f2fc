import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { lockPath, withLock } from "../../src/opencode/lock.js";

let state = "";
before(async () => (state = await mkdtemp(join(tmpdir(), "relay-"))));
beforeEach(() => (process.env["XDG_STATE_HOME"] = state));
after(async () => {
  delete process.env["XDG_STATE_HOME"];
  await rm(state, { recursive: true });
});

/** Of the key in the first test. */
const SHA1 = "977378a3c806a5d3a40fdc81c68c79193aaef794";
const OLD = new Date(Date.now() - 61_000);

async function leftBehind(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "heartbeat"), "");
  await utimes(join(path, "heartbeat"), OLD, OLD);
  await writeFile(join(path, "meta.json"), JSON.stringify({ token: "of one that is gone" }));
}

test("it is opencode's own kind of lock", async () => {
  const path = lockPath("mcp-auth:/some/mcp-auth.json");
  assert.equal(path, join(state, "opencode/locks", `${SHA1}.lock`));
  await withLock("mcp-auth:/some/mcp-auth.json", async () => {
    const meta = JSON.parse(await readFile(join(path, "meta.json"), "utf8")) as object;
    assert.deepEqual(Object.keys(meta), ["token", "pid", "hostname", "createdAt"]);
    assert.ok(existsSync(join(path, "heartbeat")));
  });
  assert.ok(!existsSync(path));
});

test("one works at a time, and what fails gives the lock back", async () => {
  let working = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    working += 1;
    most = Math.max(most, working);
    await new Promise((resolve) => setTimeout(resolve, 5));
    working -= 1;
  };
  await Promise.all([1, 2, 3].map(() => withLock("one", work)));
  assert.equal(most, 1);
  await assert.rejects(
    withLock("one", () => Promise.reject(new Error("no"))),
    /no/,
  );
  assert.equal(await withLock("one", async () => "given back"), "given back");
});

test("processes wait for each other", async () => {
  const child = join(state, "child.mjs");
  const bundling = ["tests/opencode/locker.ts", "--bundle", "--platform=node", "--format=esm"];
  spawnSync("node_modules/.bin/esbuild", [...bundling, `--outfile=${child}`]);
  const lines = join(state, "lines");
  const children = [1, 2, 3].map(() => spawn(process.execPath, [child, lines]));
  const codes = await Promise.all(children.map(async (one) => (await once(one, "exit"))[0] as number));
  assert.deepEqual(codes, [0, 0, 0]);
  assert.equal(await readFile(lines, "utf8"), "begins\nends\n".repeat(3));
});

test("a lock that was left behind is broken, by one of those who find it", async () => {
  const path = lockPath("left");
  await leftBehind(path);
  let working = 0;
  const work = async (): Promise<void> => {
    assert.equal((working += 1), 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    working -= 1;
  };
  await Promise.all([withLock("left", work), withLock("left", work)]);
  assert.ok(!existsSync(path));
  assert.ok(!existsSync(`${path}.breaker`));
});

test("so is what was left behind while breaking", async () => {
  const path = lockPath("twice");
  await leftBehind(path);
  await mkdir(`${path}.breaker`);
  await utimes(`${path}.breaker`, OLD, OLD);
  assert.equal(await withLock("twice", async () => "broken"), "broken");
});

test("a lock that another has taken over is not taken away from it", async () => {
  const path = lockPath("over");
  await withLock("over", async () => {
    await rm(path, { recursive: true });
    await leftBehind(path);
  });
  assert.ok(existsSync(path));
  assert.ok(dirname(path).endsWith("locks"));
});
