/** On the runtime that the plugin meets: opencode's binary is Bun. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { DIRECT, PROXIED, STRICTER } from "./no-proxy.js";
import { SLOW, talk } from "./slow.js";

const OPENCODE = "../tests/e2e/node_modules/.bin/opencode";
const skip = !existsSync(OPENCODE) && "needs `npm ci --prefix tests/e2e`";
const options = { skip, timeout: 60_000 };

function bun(args: string[], env: Record<string, string> = {}): ChildProcess {
  const { PATH, HOME } = process.env;
  return spawn(OPENCODE, args, {
    env: { PATH, HOME, BUN_BE_BUN: "1", ...env },
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
}

test("the listener on Bun: no connection is held, no header field overlooked", options, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "relay-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "socket");
  const child = bun(["tests/on-bun.ts", path]);
  t.after(() => child.kill());
  await once(child, "message");

  const one = `__Host-opencode-relay=${"A".repeat(43)}`;
  const other = one.replace(/A/g, "B");
  const started = (...fields: string[]) =>
    talk(path, ["GET /auth/start HTTP/1.1", "Host: x", ...fields, "", ""].join("\r\n"), "");
  const [BAD, UNKNOWN, EARLY] = [/^HTTP\/1.1 400 .*A cookie/s, /^HTTP\/1.1 404 /, /^HTTP\/1.1 503 /];
  assert.match(await started(`Cookie: ${one}; ${other}`), BAD);
  assert.match(await started(`Cookie: ${one}`, `Cookie: ${other}`), BAD);
  assert.match(await started(`Cookie: ${one}; \xa0${other}`), UNKNOWN);
  assert.match(await started("Sec-Purpose: prefetch", "Sec-Purpose: x"), EARLY);

  await Promise.all(
    SLOW.map(async ([what, text, drip, status]) => {
      const heard = await talk(path, text, drip, t.signal);
      if (!status) return;
      assert.match(heard, new RegExp(`^HTTP/1.1 ${status} .*</html>`, "s"), what);
      assert.match(heard, /^connection: close\r$/im, what);
    }),
  );
});

test("Bun unpacks no answer, and has read no more of one than it may have", options, async (t) => {
  const bomb = gzipSync(Buffer.alloc(200_000_000));
  const server = createServer((_request, answer) => {
    answer.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const code = `
    const { request } = await import("./src/http.ts");
    const before = process.memoryUsage().rss;
    const said = await request("${url}").catch((error) => error.message);
    console.log(said, process.memoryUsage().rss - before < 100_000_000 ? "small" : "large");`;
  const child = bun(["-e", code], { NO_PROXY: "127.0.0.1" });
  let said = "";
  child.stdout!.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await once(child, "close");
  assert.equal(said.trim(), "its answer is packed, though that was not asked for small");
});

test("Bun's fetch asks the proxy where the plugin thinks so", options, async (t) => {
  const proxy = createServer((_request, answer) => answer.end("proxied")).listen(0, "127.0.0.1");
  const closed = createServer().listen(0, "127.0.0.1");
  await Promise.all([once(proxy, "listening"), once(closed, "listening")]);
  t.after(() => proxy.close());
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));

  const asked = async (host: string, entries: string): Promise<string> => {
    const code = `fetch("http://${host}:${port}/").then((a) => a.text(), () => "direct").then(console.log)`;
    const child = bun(["-e", code], {
      HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      NO_PROXY: entries.replace("8787", String(port)),
    });
    let said = "";
    child.stdout!.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await once(child, "close");
    return said.trim();
  };
  for (const [is, cases] of [
    ["direct", [...DIRECT, ...STRICTER]],
    ["proxied", PROXIED],
  ] as const) {
    for (const [host, entries] of cases) {
      assert.equal(await asked(host, entries), is, `${host} ${JSON.stringify(entries)}`);
    }
  }
});
