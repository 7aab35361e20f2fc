import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createRemoteJWKSet, exportJWK, generateKeyPair } from "jose";

import { type LoginKeys, makeKeys } from "../../src/relay/keys.js";
import { KeysUnavailable, ResponseRefused, openResponse } from "../../src/relay/sealed.js";
import { type StubLogin, StubRelay } from "../stub.js";

const relay = new StubRelay();
let keys: LoginKeys;

before(async () => {
  await relay.start();
  keys = await makeKeys();
});
after(() => relay.stop());

type Change = Parameters<StubRelay["release"]>[2];

async function opened(change: Change = {}, params: Record<string, unknown> = { code: "c" }) {
  const body = { encryption_key: keys.publicKey };
  const login: StubLogin = { id: "L".repeat(22), state: "", body, status: "pending", tries: 0 };
  await relay.release(login, params, change);
  const jwks = createRemoteJWKSet(new URL(`${relay.origin}/.well-known/jwks.json`));
  return await openResponse(login.response!, keys, jwks, relay.origin, login.id);
}

test("a good response gives the callback's parameters", async () => {
  const params = await opened({}, { code: "abc", iss: "https://idp", scope: "openid" });
  assert.deepEqual(Object.fromEntries(params), {
    code: "abc",
    iss: "https://idp",
    scope: "openid",
  });
});

test("every check of the protocol refuses", async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const otherKey = await generateKeyPair("ES256");
  const otherLogin = await makeKeys();
  const cases: Record<string, Change> = {
    "another issuer": { claims: { iss: "https://evil.example" } },
    "no issuer": { claims: { iss: undefined } },
    "another login": { claims: { aud: "M".repeat(22) } },
    "several logins": { claims: { aud: ["L".repeat(22), "M".repeat(22)] } },
    "no audience": { claims: { aud: undefined } },
    "expired longer ago than the leeway": { claims: { exp: now - 125 } },
    "no expiry": { claims: { exp: undefined } },
    "another typ": { header: { typ: "JWT" } },
    "no typ": { header: { typ: undefined } },
    "no key named": { header: { kid: undefined } },
    "a signature of somebody else": { signWith: otherKey.privateKey },
    "sealed to another key": { sealTo: otherLogin.publicKey },
    "another thumbprint": { outer: { kid: otherLogin.thumbprint } },
    "no thumbprint": { outer: { kid: undefined } },
    "another content type": { outer: { cty: undefined } },
    "another key management": { outer: { alg: "ECDH-ES+A256KW" } },
    "another content encryption": { outer: { enc: "A128GCM" } },
    "no parameters": { claims: { params: undefined } },
    "a list of parameters": { claims: { params: ["code"] } },
    "a parameter that is no string": { claims: { params: { code: 1 } } },
  };
  for (const [name, change] of Object.entries(cases)) {
    await t.test(name, () => assert.rejects(opened(change), ResponseRefused));
  }
  await t.test("the wrong algorithm of a signature", async () => {
    const rsa = await generateKeyPair("RS256");
    const change = { signWith: rsa.privateKey, header: { alg: "RS256" } };
    await assert.rejects(opened(change), ResponseRefused);
  });
});

test("a clock two minutes off is forgiven, and iat is ignored", async () => {
  const now = Math.floor(Date.now() / 1000);
  await opened({ claims: { exp: now - 60, iat: now + 3600 } });
});

test("a signing key that is not known yet is not a refusal", async () => {
  await assert.rejects(opened({ header: { kid: "not-yet-known" } }), KeysUnavailable);
});

test("the key pair is fresh for each login and cannot be exported", async () => {
  const other = await makeKeys();
  assert.notEqual(other.thumbprint, keys.thumbprint);
  await assert.rejects(exportJWK(keys.privateKey));
  assert.deepEqual(Object.keys(other.publicKey), ["kty", "crv", "x", "y"]);
});
