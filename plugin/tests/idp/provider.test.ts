import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { IdpError, findIdp } from "../../src/idp/provider.js";
import { StubIdp } from "../stub.js";

const idp = new StubIdp();
before(() => idp.start());
after(() => idp.stop());

test("another provider than ChatGPT is found by its discovery document", async () => {
  const found = await findIdp({ issuer: idp.origin, clientId: "c" }, { scope: "openid" });
  assert.deepEqual(found, {
    issuer: idp.origin,
    clientId: "c",
    authorizationEndpoint: `${idp.origin}/authorize`,
    tokenEndpoint: `${idp.origin}/token`,
    sendsIss: true,
    parameters: { scope: "openid" },
  });
});

test("an identity provider that cannot be found is named", async (t) => {
  t.after(() => (idp.intercept = undefined));
  idp.intercept = (_seen, answer) => {
    answer.writeHead(200).end(JSON.stringify({ issuer: "https://evil.example" }));
    return true;
  };
  const asked = findIdp({ issuer: idp.origin, clientId: "c" }, { scope: "openid" });
  await assert.rejects(asked, (error: Error) => {
    assert.ok(error instanceof IdpError);
    assert.match(error.message, /does not answer as the identity provider.*"issuer", which it spells https:\/\/evil\.example$/);
    return true;
  });
});

test("a slash at the end is another issuer: the option spells it as the provider does", async () => {
  const asked = findIdp({ issuer: `${idp.origin}/`, clientId: "c" }, {});
  await assert.rejects(asked, { message: new RegExp(`, which it spells ${idp.origin}$`) });
});

test("its endpoints are no nearer to this machine than it is itself, and on https", async (t) => {
  const issuer = "https://sso.example";
  const { fetch } = globalThis;
  t.after(() => (globalThis.fetch = fetch));
  for (const [endpoint, says] of [
    ["http://localhost:1/token", /token_endpoint that .* names is this machine's own/],
    ["https://10.0.0.1/token", /of a private network/],
    ["http://sso.example/token", /is not https/],
    [undefined, /is no address/],
  ] as const) {
    const said = { issuer, authorization_endpoint: `${issuer}/a`, token_endpoint: endpoint };
    globalThis.fetch = async () => Response.json(said);
    await assert.rejects(findIdp({ issuer, clientId: "c" }, {}), says);
  }
});

test("one that has RFC 8414's document only is found, its path behind the document's", async (t) => {
  t.after(() => (idp.intercept = undefined));
  const issuer = `${idp.origin}/tenant/`;
  const asked: string[] = [];
  idp.intercept = ({ path }, answer) => {
    asked.push(path);
    const found = path === "/.well-known/oauth-authorization-server/tenant";
    const endpoints = { authorization_endpoint: `${issuer}a`, token_endpoint: `${issuer}t` };
    answer.writeHead(found ? 200 : 404).end(JSON.stringify(found ? { issuer, ...endpoints } : {}));
    return true;
  };
  const found = await findIdp({ issuer, clientId: "c" }, { scope: "ai" });
  assert.equal(found.tokenEndpoint, `${issuer}t`);
  assert.equal(found.sendsIss, false);
  assert.deepEqual(asked, [
    "/tenant/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server/tenant",
  ]);
});
