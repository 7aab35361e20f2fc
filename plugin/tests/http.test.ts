import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";

import { Unreachable, exchange, request } from "../src/http.js";
import { asker } from "../src/mcp/asking.js";

process.env["NO_PROXY"] = process.env["no_proxy"] = "127.0.0.1";

const bodies: Record<string, Buffer> = {
  "/packed": gzipSync("{}"),
  "/much": Buffer.alloc(1_000_001),
  "/fits": Buffer.alloc(1_000_000),
};
const asked: (string | undefined)[] = [];
const server = createServer(({ url, headers }, answer) => {
  asked.push(headers["accept-encoding"]?.toString());
  if (url === "/packed") answer.setHeader("content-encoding", "gzip");
  answer.end(bodies[url!]);
});
let origin = "";
before(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => void server.closeAllConnections());
after(() => void server.close());

test("an answer that is packed, or of more than a megabyte, is refused, whoever is asked", async () => {
  for (const ask of [request, asker(origin)]) {
    await assert.rejects(ask(`${origin}/packed`), /its answer is packed/);
    await assert.rejects(ask(`${origin}/much`), /it answers with too much/);
    await ask(`${origin}/fits`);
  }
  assert.deepEqual(new Set(asked), new Set(["identity"]));
});

test("nothing for this machine goes through a proxy, whoever asks", async (t) => {
  const before = { ...process.env };
  t.after(() => void (process.env = before));
  process.env["HTTP_PROXY"] = "http://proxy.example:1";
  process.env["NO_PROXY"] = process.env["no_proxy"] = "";
  const says = /through HTTP_PROXY: add 127\.0\.0\.1 to NO_PROXY/;
  const seen = asked.length;
  await assert.rejects(request(`${origin}/fits`), says);
  await assert.rejects(asker(origin)(`${origin}/fits`), says);
  await assert.rejects(exchange(`${origin}/fits`, {}, 1_000), Unreachable);
  assert.equal(asked.length, seen);
});
