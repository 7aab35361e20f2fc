import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { closed, opened } from "../../src/mcp/instances.js";
import { ownSignIns } from "../../src/mcp/own.js";
import { mcpTarget } from "../../src/mcp/sign-in.js";
import type { Client } from "../../src/opencode/interface.js";
import type { Context, Login } from "../../src/signin/logins.js";
import type { Target } from "../../src/signin/target.js";
import { StubMcp } from "./stub.js";

process.env["NO_PROXY"] = "127.0.0.1";

let mcp: StubMcp;
before(async () => (mcp = await new StubMcp().start()));
after(() => mcp.stop());
beforeEach(() => {
  mcp.seen.length = 0;
  [mcp.metadata, mcp.registered] = [{}, { client_id: "registered" }];
});

const client = { _client: { get: async () => ({ data: { version: "1.18.33" } }) } } as unknown as Client;
const context: Context = { client, directory: "/a", log: () => undefined };
const target = (): Target => mcpTarget(mcp.server(), context, ownSignIns({}, {}), true);

test("no sign-in of ChatGPT's is had in a server's name", async () => {
  mcp.metadata = {
    authorization_endpoint: "https://auth.openai.com/oauth/authorize?originator=opencode",
    authorization_response_iss_parameter_supported: true,
  };
  await assert.rejects(target().find(undefined), /sends people to auth\.openai\.com/);
  assert.deepEqual(mcp.registrations(), []);
  mcp.metadata = {};
  mcp.registered = { client_id: "app_EMoamEEZ73f0CkXaXp7hrann" };
  await assert.rejects(target().find(undefined), /which is not its own/);
});

test("nothing is redeemed where a project was opened meanwhile that has another of its name", async () => {
  const begun = target();
  const { idp, redirectUri } = await begun.find(undefined);
  const servers = [mcp.server({ url: "https://other.example/mcp" })];
  opened({ context: { ...context, directory: "/b" }, servers });
  const login = { context, isOver: false } as unknown as Login;
  const redeemed = begun.redeem(login, idp, { code: "c", redirectUri, verifier: "v" });
  await assert.rejects(redeemed, /another server in \/b/);
  assert.deepEqual(mcp.forms(), []);
  closed("/b");
});
