import assert from "node:assert/strict";
import { test } from "node:test";

import { ownSignIns, refuseClient, refuseHost } from "../../src/mcp/own.js";
import { serversOf } from "../../src/mcp/servers.js";

const server = (url: string) => serversOf({ mcp: { demo: { type: "remote", url } } })[0]!;
const evil = server("https://evil.example/mcp");
const providers = [{ id: "work", issuer: "https://sso.corp.example", clientId: "the-gateway's" }, null];
const env = { GITLAB_INSTANCE_URL: "https://git.corp.example", GITLAB_OAUTH_CLIENT_ID: "own-app" };
const own = ownSignIns({ providers }, env);

test("no MCP server sends people to ChatGPT's or GitLab's sign-in, but GitLab's own", () => {
  for (const host of ["auth.openai.com", "auth.openai.com.", "gitlab.com", "git.corp.example"]) {
    assert.throws(() => refuseHost(evil, `https://${host}/authorize`, own), /do not sign in to it/);
  }
  refuseHost(server("https://gitlab.com/api/v4/mcp"), "https://gitlab.com/oauth/authorize", own);
  // A company's MCP servers may be behind what its gateway is behind.
  refuseHost(server("https://mcp.corp.example/"), "https://sso.corp.example/authorize", own);
});

test("no registration gives a client that is another sign-in's", () => {
  for (const id of ["app_EMoamEEZ73f0CkXaXp7hrann", "the-gateway's", "own-app"]) {
    assert.throws(() => refuseClient(evil, id, own), /which is not its own/);
  }
  for (const id of ["", "registered"]) refuseClient(evil, id, ownSignIns({}, {}));
});
