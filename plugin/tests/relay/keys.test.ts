import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { discover } from "../../src/relay/discovery.js";
import { makeKeys, signingKeys } from "../../src/relay/keys.js";
import { KeysUnavailable, openResponse } from "../../src/relay/sealed.js";
import { StubRelay } from "../stub.js";

process.env["NO_PROXY"] = "127.0.0.1";

test("the relay's keys, too, are read only as far as any answer is", async (t) => {
  const relay = await new StubRelay().start();
  t.after(() => relay.stop());
  const keys = await makeKeys();
  const body = { encryption_key: keys.publicKey };
  const login = { id: "L".repeat(22), state: "", body, status: "pending" as const, tries: 0 };
  await relay.release(login, { code: "c" });
  const { response } = login as { response?: string };
  const found = await discover(relay.origin);
  const open = () => openResponse(response!, keys, signingKeys(found), relay.origin, login.id);
  const real = await (await fetch(found.jwksUri)).text();
  relay.intercept = ({ path }, answer) => {
    if (path !== "/.well-known/jwks.json") return false;
    answer.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(real));
    return true;
  };
  await assert.rejects(open(), KeysUnavailable);
  relay.intercept = undefined;
  assert.equal((await open()).get("code"), "c");
});
