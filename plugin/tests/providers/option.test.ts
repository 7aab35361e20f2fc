import assert from "node:assert/strict";
import { test } from "node:test";

import { PROVIDER } from "../../src/mcp/entry.js";
import { MOST, OPENCODES_OWN, readGateway } from "../../src/providers/option.js";
import { SettingsError } from "../../src/settings.js";

const ENTRY = { id: "my-gateway", issuer: "https://sso.example.com/", clientId: "opencode" };

function refused(list: unknown, words: RegExp, place = 0): void {
  assert.throws(
    () => readGateway(list, place, {}),
    (error) => error instanceof SettingsError && words.test(error.message),
    JSON.stringify(list),
  );
}

test("an entry says who signs in, and has defaults for the rest", () => {
  assert.deepEqual(readGateway([ENTRY], 0, {}), {
    ...ENTRY,
    scope: "openid email offline_access",
    name: "sso.example.com",
  });
  const more = { scope: "openid gateway", name: "Müller SSO" };
  const second = { ...ENTRY, ...more, id: "other" };
  assert.deepEqual(readGateway([ENTRY, second], 1, {}), second);
  // An unset {env:X} in opencode.json arrives as "".
  assert.equal(readGateway([{ ...ENTRY, name: "", scope: "" }], 0, {})?.name, "sso.example.com");
  assert.equal(readGateway([ENTRY], 1, {}), undefined);
  assert.equal(readGateway(undefined, 0, {}), undefined);
});

test("ids that opencode or this plugin has a meaning of its own for are refused", () => {
  for (const id of ["openai", "gitlab", PROVIDER]) assert.ok(OPENCODES_OWN.includes(id));
  for (const id of OPENCODES_OWN) refused([{ ...ENTRY, id }], /taken by opencode.*an id of its own/);
});

test("what is wrong with the list or an entry is named", () => {
  refused({}, /"providers" must be a list/);
  refused(Array(MOST + 1).fill(ENTRY), /9 entries: 8 may be set/);
  for (const entry of [null, "x", [ENTRY]]) refused([entry], /entry 1 .* is no object/);
  refused([{ ...ENTRY, baseURL: "x" }], /"baseURL" is unknown/);
  refused([{ ...ENTRY, scope: 1 }], /"scope" must be a string/);
  refused([{ ...ENTRY, id: "" }], /"id" must be/);
  refused([{ ...ENTRY, id: "../auth" }], /"id" must be/);
  refused([{ ...ENTRY, id: "__proto__" }], /"id" must be/);
  refused([ENTRY, { ...ENTRY, id: " my-gateway " }], /entry 2 .*has an entry before/, 1);
  refused([{ ...ENTRY, clientId: undefined }], /"clientId" must be a string/);
  refused([{ id: "a", issuer: ENTRY.issuer }], /"clientId" must be set/);
  refused([{ ...ENTRY, scope: "a  b" }], /"scope" must be words/);
  refused([{ ...ENTRY, name: "x".repeat(41) }], /"name" must have/);
  refused([{ ...ENTRY, name: "a\u202eb" }], /"name" must have/);
});

test("an issuer is https, or http on loopback, and bare", () => {
  for (const issuer of ["http://127.0.0.1:1", "http://localhost:1/a", "https://a.example"]) {
    assert.equal(readGateway([{ ...ENTRY, issuer }], 0, {})?.issuer, issuer);
  }
  const local = [{ ...ENTRY, issuer: "http://127.0.0.1:1" }];
  assert.throws(() => readGateway(local, 0, { HTTP_PROXY: "http://proxy" }), /through HTTP_PROXY/);
  const bad = ["", "a.example", "http://a.example", "https://u@a.example", "https://a.example?x", "https://a.example#x"];
  for (const issuer of bad) refused([{ ...ENTRY, issuer }], /"issuer" must be the https URL/);
});
