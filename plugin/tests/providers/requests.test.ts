import assert from "node:assert/strict";
import { type IncomingMessage, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";

import { baseUrl, isBelow } from "../../src/providers/base-url.js";
import { PLACEHOLDER, withToken } from "../../src/providers/requests.js";
import { SettingsError } from "../../src/settings.js";

const seen: IncomingMessage[] = [];
const server = createServer((request, answer) => {
  seen.push(request);
  if (request.url?.endsWith("/moved")) answer.writeHead(307, { location: "/elsewhere" });
  answer.end("{}");
});
let origin = "";
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => void (seen.length = 0));
after(() => server.close());

const token = async (): Promise<string> => "the-token";

test("what lies below the base URL has the token, whatever else stood there", async () => {
  const send = withToken(new URL(`${origin}/v1`), token);
  const headers = { authorization: `Bearer ${PLACEHOLDER}`, "x-api-key": PLACEHOLDER, "x-own": "1" };
  await send(`${origin}/v1/chat/completions`, { method: "POST", headers, body: "{}" });
  await send(new URL(`${origin}/v1`));
  await send(new Request(`${origin}/v1/models`, { headers: { "x-own": "2" } }));
  assert.deepEqual(
    seen.map(({ method, url, headers: got }) => [method, url, got.authorization, got["x-own"]]),
    [
      ["POST", "/v1/chat/completions", "Bearer the-token", "1"],
      ["GET", "/v1", "Bearer the-token", undefined],
      ["GET", "/v1/models", "Bearer the-token", "2"],
    ],
  );
  assert.equal(seen[0]!.headers["x-api-key"], undefined);
});

test("nothing else has it, nor the place holder", async () => {
  const send = withToken(new URL(`${origin}/v1/`), token);
  const headers = { authorization: `Bearer ${PLACEHOLDER}` };
  const other = origin.replace("127.0.0.1", "localhost");
  for (const url of [`${origin}/v1evil`, `${origin}/`, `${origin}/v1/../v2`, `${other}/v1/x`]) {
    await send(url, { headers });
  }
  assert.equal(seen.length, 4);
  assert.deepEqual(new Set(seen.map((one) => one.headers.authorization)), new Set([undefined]));
});

test("it follows no redirect", async () => {
  const send = withToken(new URL(`${origin}/v1`), token);
  await assert.rejects(send(`${origin}/v1/moved`, { redirect: "follow" }));
  assert.deepEqual(
    seen.map(({ url }) => url),
    ["/v1/moved"],
  );
});

test("of a URL like the base URL the origin and all segments are compared", () => {
  const below = (base: string, url: string): boolean => isBelow(new URL(base), new URL(url));
  assert.ok(below("https://a.example", "https://a.example/anything"));
  assert.ok(below("https://a.example/v1//", "https://a.example/v1/x"));
  assert.ok(!below("https://a.example/v1", "http://a.example/v1/x"));
  assert.ok(!below("https://a.example/v1", "https://a.example:8443/v1/x"));
  assert.ok(!below("https://a.example/v1", "https://a.example.evil/v1/x"));
  assert.ok(!below("https://a.example/v1", "https://a.example/v1/%2e%2e/x"));
});

test("a provider needs a base URL of its own", () => {
  const provider = (options?: Record<string, unknown>) => ({ provider: { mine: { ...(options && { options }) } } });
  assert.equal(baseUrl({}, "mine", {}), undefined);
  assert.equal(baseUrl({ provider: {} }, "constructor", {}), undefined);
  assert.equal(
    baseUrl(provider({ baseURL: "https://ai.example/v1" }), "mine", {})?.href,
    "https://ai.example/v1",
  );
  const local = provider({ baseURL: "http://127.0.0.1/v1" });
  assert.throws(() => baseUrl(local, "mine", { HTTP_PROXY: "http://proxy" }), /through HTTP_PROXY/);
  const bad = [undefined, {}, { baseURL: 1 }, { baseURL: "ai.example" }, { baseURL: "http://ai.example" }];
  for (const options of [...bad, { baseURL: "https://ai.example?x" }]) {
    assert.throws(
      () => baseUrl(provider(options), "mine", {}),
      (error) => error instanceof SettingsError && /"mine" .* no baseURL of its own/.test(error.message),
    );
  }
});
