import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { clientAt, redeemAt } from "../../src/mcp/clients.js";
import { authorityOf } from "../../src/mcp/discovery.js";
import { StubMcp } from "./stub.js";

process.env["NO_PROXY"] = "127.0.0.1";

const RELAY = "https://relay.example/auth/callback";
const LOCAL = "http://localhost:1455/auth/callback";
const DOCUMENT = "https://relay.example/oauth/client";
const both = { redirectUris: [RELAY, LOCAL], document: DOCUMENT };
const grant = { code: "the-code", redirectUri: RELAY, verifier: "the-verifier" };

let mcp: StubMcp;
before(async () => (mcp = await new StubMcp().start()));
after(() => mcp.stop());
beforeEach(() => {
  mcp.seen.length = 0;
  mcp.metadata = {};
  mcp.registers = () => true;
  mcp.registered = { client_id: "registered" };
});

test("the relay's redirect URI is registered, for a public client", async () => {
  mcp.resource = { scopes_supported: ["read"] };
  const authority = await authorityOf(mcp.server());
  const client = await clientAt(mcp.server(), authority, both);
  assert.equal(client.id, "registered");
  assert.equal(client.redirectUri, RELAY);
  const [asked] = mcp.registrations();
  assert.deepEqual(asked!["redirect_uris"], [RELAY]);
  assert.equal(asked!["token_endpoint_auth_method"], "none");
  assert.equal(asked!["scope"], "read");
});

test("localhost's is, where the relay's is refused", async () => {
  mcp.registers = (uri) => uri === LOCAL;
  const client = await clientAt(mcp.server(), await authorityOf(mcp.server()), both);
  assert.equal(client.redirectUri, LOCAL);
  const types = mcp.registrations().map((asked) => asked["application_type"]);
  assert.deepEqual(types, ["web", "native"]);
});

test("where both are, both refusals are named", async () => {
  mcp.registers = () => false;
  await assert.rejects(
    clientAt(mcp.server(), await authorityOf(mcp.server()), both),
    new RegExp(`${RELAY} \\(invalid_redirect_uri\\), nor for ${LOCAL}`),
  );
});

test("a registration that is none is told in our own words, for it may hold a secret", async () => {
  mcp.registered = { client_secret: "a-secret" };
  const asked = clientAt(mcp.server(), await authorityOf(mcp.server()), both);
  await assert.rejects(asked, { message: /registered no client \(no answer of OAuth's\)$/ });
});

test("a configured client is used as it is, and nothing registered", async () => {
  const server = mcp.server({ clientId: "mine", clientSecret: "secret" });
  const authority = await authorityOf(server);
  const client = await clientAt(server, authority, both);
  assert.equal(client.id, "mine");
  assert.deepEqual(mcp.registrations(), []);
  await redeemAt(server, authority, client, grant);
  const [token] = mcp.seen.filter(({ path }) => path === "/token");
  assert.equal(token!.authorization, `Basic ${btoa("mine:secret")}`);
});

test("the relay's document is the client where none is registered, with the relay's URI only", async () => {
  mcp.metadata = { registration_endpoint: undefined, client_id_metadata_document_supported: true };
  const authority = await authorityOf(mcp.server());
  const client = await clientAt(mcp.server(), authority, both);
  assert.deepEqual([client.id, client.redirectUri], [DOCUMENT, RELAY]);
  const local = { redirectUris: [LOCAL], document: undefined };
  await assert.rejects(clientAt(mcp.server(), authority, local), /"clientId"/);
});

test("where there is no client the sentence says what to register and where to set it", async () => {
  mcp.metadata = { registration_endpoint: undefined };
  await assert.rejects(
    clientAt(mcp.server(), await authorityOf(mcp.server()), both),
    new RegExp(`redirect URI ${RELAY}, and set "oauth": \\{"clientId"`),
  );
});

test("a server that takes no public client gets one with a secret", async () => {
  mcp.metadata = { token_endpoint_auth_methods_supported: ["client_secret_post"] };
  mcp.registered = { client_id: "registered", client_secret: "given" };
  const authority = await authorityOf(mcp.server());
  const client = await clientAt(mcp.server(), authority, both);
  assert.equal(mcp.registrations()[0]!["token_endpoint_auth_method"], "client_secret_post");
  await redeemAt(mcp.server(), authority, client, grant);
  assert.equal(mcp.forms()[0]!.get("client_secret"), "given");
});

test("a code is redeemed once, with PKCE and the resource, and a refusal quotes nothing", async () => {
  const authority = await authorityOf(mcp.server());
  const client = await clientAt(mcp.server(), authority, both);
  assert.equal((await redeemAt(mcp.server(), authority, client, grant)).access_token, "access");
  const [form] = mcp.forms();
  assert.equal(form!.get("code_verifier"), "the-verifier");
  assert.equal(form!.get("redirect_uri"), RELAY);
  assert.equal(form!.get("resource"), `${mcp.origin}/mcp`);

  mcp.tokens = { error: "invalid_grant", error_description: "the-code is used" };
  await assert.rejects(redeemAt(mcp.server(), authority, client, grant), (error: Error) => {
    assert.match(error.message, /invalid_grant/);
    assert.doesNotMatch(error.message, /the-code/);
    return true;
  });
  assert.equal(mcp.forms().length, 2);
});

test("a token that opencode cannot use, or keep, is refused", async () => {
  const authority = await authorityOf(mcp.server());
  const client = await clientAt(mcp.server(), authority, both);
  const good = { access_token: "a", token_type: "bearer", expires_in: "0" };
  mcp.tokens = good;
  assert.equal((await redeemAt(mcp.server(), authority, client, grant)).expires_in, 0);
  for (const odd of [
    { access_token: "" },
    { access_token: "a\r\nb" },
    { access_token: "a".repeat(16_385) },
    { refresh_token: "\u00e4" },
    { token_type: "mac" },
    { expires_in: -1 },
    { expires_in: 1e300 },
  ]) {
    mcp.tokens = { ...good, ...odd };
    const asked = redeemAt(mcp.server(), authority, client, grant);
    await assert.rejects(asked, /demo gave no token that opencode can use/, JSON.stringify(odd).slice(0, 80));
  }
});
