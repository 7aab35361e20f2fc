/** Beside a real opencode, which writes the same file each time that it connects. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { store } from "../../src/mcp/store.js";
import { StubMcp } from "./stub.js";

const OPENCODE = "../tests/e2e/node_modules/.bin/opencode";
const skip = !existsSync(OPENCODE) && "needs `npm ci --prefix tests/e2e`";
const MANY = 400;

test("of many writes beside an opencode that reconnects none is lost", { skip, timeout: 180_000 }, async (t) => {
  const home = await mkdtemp(join(tmpdir(), "relay-"));
  const mcp = await new StubMcp().start();
  const at = (folder: string): string => join(home, folder);
  await mkdir(at("config/opencode"), { recursive: true });
  const demo = { type: "remote", url: mcp.server().url };
  await writeFile(at("config/opencode/opencode.json"), JSON.stringify({ mcp: { demo } }));
  const { PATH } = process.env;
  const folders = { XDG_DATA_HOME: at("data"), XDG_STATE_HOME: at("state") };
  const child = spawn(join(process.cwd(), OPENCODE), ["serve", "--port=0"], {
    cwd: home,
    env: {
      PATH,
      HOME: home,
      XDG_CONFIG_HOME: at("config"),
      ...folders,
      OPENCODE_DISABLE_AUTOUPDATE: "true",
      OPENCODE_DISABLE_MODELS_FETCH: "true",
    },
    stdio: ["ignore", "pipe", "ignore"],
  });
  Object.assign(process.env, folders);
  t.after(async () => {
    child.kill("SIGKILL"); // it takes its time otherwise
    if (child.exitCode === null) await once(child, "exit");
    await mcp.stop();
    for (const name of Object.keys(folders)) delete process.env[name];
    await rm(home, { recursive: true, force: true });
  });
  let said = "";
  const url = await new Promise<string>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      const found = /http:\/\/\S+/.exec((said += chunk.toString()));
      if (found) resolve(found[0]);
    });
  });

  let over = false;
  let connected = 0;
  const reconnecting = async (): Promise<void> => {
    while (!over) {
      // opencode never answers what it is asked too early.
      const signal = AbortSignal.timeout(10_000);
      const asked = fetch(`${url}/mcp/demo/connect`, { method: "POST", signal });
      connected += (await asked.then(({ ok }) => ok, () => false)) ? 1 : 0;
    }
  };
  const beside = Promise.all([reconnecting(), reconnecting()]);
  while (connected < 2) await sleep(50);
  const names = Array.from({ length: MANY }, (_, n) => `server-${n}`);
  const before = connected;
  for (const name of names) {
    await store(name, { tokens: { accessToken: name }, serverUrl: "https://x.example/" });
    await sleep(10); // opencode waits longer and longer for a lock that is always taken
  }
  assert.ok(connected > before, "opencode was busy meanwhile");
  over = true;
  await beside;
  const file = await readFile(at("data/opencode/mcp-auth.json"), "utf8");
  const all = JSON.parse(file) as Record<string, { tokens?: { accessToken: string } }>;
  assert.deepEqual(names.filter((name) => all[name]?.tokens?.accessToken !== name), []);
  assert.ok(all["demo"], "opencode wrote to the same file");
});
