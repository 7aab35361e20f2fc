import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { mcp } from "../../src/mcp/plugin.js";
import { forgetOthers } from "../../src/mcp/same-name.js";
import type { Client, Config } from "../../src/opencode/interface.js";
import { withLock } from "../../src/opencode/lock.js";

let home = "";
before(async () => {
  home = await mkdtemp(join(tmpdir(), "relay-"));
  await mkdir(join(home, "opencode"));
  process.env["XDG_DATA_HOME"] = process.env["XDG_STATE_HOME"] = home;
});
after(async () => {
  delete process.env["XDG_DATA_HOME"];
  delete process.env["XDG_STATE_HOME"];
  await rm(home, { recursive: true });
});

const at = (url: string) => ({ tokens: { accessToken: "a" }, serverUrl: url });
const file = () => join(home, "opencode/mcp-auth.json");
const kept = async (): Promise<object> => JSON.parse(await readFile(file(), "utf8")) as object;
const keep = async (all: object): Promise<void> => await writeFile(file(), JSON.stringify(all));

async function forgotten(mcp: Config["mcp"] & object): Promise<{ log: string[]; config: Config }> {
  const log: string[] = [];
  const config: Config = { mcp };
  await forgetOthers(config, (level, message) => void log.push(`${level} ${message}`));
  return { log, config };
}

const one = { type: "remote", url: "https://one.example/mcp" };
const other = "https://other.example/mcp";

test("what another server of the same name gave is removed, and nothing else", async () => {
  await keep({ same: at(one.url), changed: at(other), off: at(other), old: { tokens: {} }, gone: at(other) });
  const { log } = await forgotten({
    same: one,
    changed: one,
    off: { ...one, enabled: false },
    old: one,
    local: { type: "local" },
    new: one,
  });
  assert.deepEqual(await kept(), { same: at(one.url), gone: at(other) });
  assert.match(log.join(), /^warn .* as changed, off, old: they are removed/);
});

test("that is done before opencode goes on", async () => {
  await keep({ changed: at(other) });
  const client = { app: { log: async () => undefined } } as unknown as Client;
  const hooks = await mcp({ client, directory: "/a" });
  await hooks.config({ mcp: { changed: { ...one, enabled: false } } });
  assert.deepEqual(await kept(), {});
  await hooks.dispose();
});

test("what opencode is writing is read when it is written", async () => {
  let begun: ReturnType<typeof forgotten> | undefined;
  await withLock(`mcp-auth:${file()}`, async () => {
    await writeFile(file(), "");
    begun = forgotten({ changed: one });
    await sleep(100);
    await keep({ changed: at(other) });
  });
  assert.match((await begun)?.log.join() ?? "", /^warn .* as changed: they are removed/);
  assert.deepEqual(await kept(), {});
});

test("where nothing differs nothing is written, nor where opencode has kept nothing", async () => {
  await keep({ same: at(one.url), open: at(other), begun: { oauthState: "s", codeVerifier: "v" } });
  const before = await readFile(file(), "utf8");
  assert.deepEqual((await forgotten({ same: one, begun: one, open: { ...one, oauth: false } })).log, []);
  assert.equal(await readFile(file(), "utf8"), before);
  await rm(file());
  assert.deepEqual((await forgotten({ same: one })).log, []);
});

test("a server is switched off where the other's login cannot be removed", async (t) => {
  await keep({ changed: at(other) });
  // Where the lock would be there is a file.
  process.env["XDG_STATE_HOME"] = file();
  t.after(() => (process.env["XDG_STATE_HOME"] = home));
  const { log, config } = await forgotten({ changed: one, same: one });
  assert.deepEqual(config.mcp, { changed: { ...one, enabled: false }, same: one });
  assert.match(log.join(), /^error .* cannot be removed/);
});
