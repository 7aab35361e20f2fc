import assert from "node:assert/strict";
import { test } from "node:test";

import { checkIdToken } from "../../src/idp/id-token.js";
import { IdpError } from "../../src/idp/provider.js";

const CLIENT = { issuer: "https://sso.example", clientId: "opencode" };
const CLAIMS = {
  iss: CLIENT.issuer,
  aud: CLIENT.clientId,
  exp: Math.floor(Date.now() / 1000) + 60,
  nonce: "of-this-sign-in",
};

function token(claims: Record<string, unknown>): string {
  return `e30.${Buffer.from(JSON.stringify({ ...CLAIMS, ...claims })).toString("base64url")}.`;
}

const check = (given: unknown): void => checkIdToken(given, CLIENT, CLAIMS.nonce);

test("the id token of this sign-in is taken", () => {
  check(token({}));
  check(token({ aud: [CLIENT.clientId] }));
  check(token({ aud: ["api", CLIENT.clientId], azp: CLIENT.clientId }));
  check(token({ exp: Date.now() / 1000 - 100 })); // clocks differ
});

test("any other is refused, and so is none", () => {
  const bad: [unknown, RegExp][] = [
    [undefined, /there is none/],
    ["opaque", /its iss is missing/],
    [7, /its iss is missing/],
    [token({ iss: "https://evil.example" }), /its iss is https:\/\/evil\.example/],
    [token({ iss: `${CLIENT.issuer}/` }), /its iss/],
    [token({ aud: "other" }), /another client/],
    [token({ aud: undefined }), /another client/],
    [token({ aud: ["other", CLIENT.clientId] }), /another client/],
    [token({ aud: ["other", CLIENT.clientId], azp: "other" }), /another client/],
    [token({ exp: Date.now() / 1000 - 200 }), /expired/],
    [token({ exp: undefined }), /expired/],
    [token({ exp: "9999999999" }), /expired/],
    [token({ nonce: "of-another" }), /nonce/],
    [token({ nonce: undefined }), /nonce/],
  ];
  for (const [given, words] of bad) {
    assert.throws(
      () => check(given),
      (error) => error instanceof IdpError && words.test(error.message),
      String(words),
    );
  }
});
