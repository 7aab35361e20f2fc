import assert from "node:assert/strict";
import { test } from "node:test";

import { type Pasted, parsePaste } from "../../src/signin/paste.js";

const PAGE = "http://localhost:1455/auth/callback";
const STATE = "eyJ0eXAiOiJsb2dpbi1zdGF0ZStqd3QifQ.abc_-def.sig";

function address(text: string): Extract<Pasted, { kind: "address" }> {
  const pasted = parsePaste(text);
  assert.equal(pasted.kind, "address");
  return pasted as Extract<Pasted, { kind: "address" }>;
}

test("an address gives its state and everything else", () => {
  const { state, parameters } = address(
    `${PAGE}?code=a%2Bb&scope=openid+email&state=${STATE}&iss=x`,
  );
  assert.equal(state, STATE);
  assert.deepEqual(Object.fromEntries(parameters), {
    code: "a+b",
    scope: "openid email",
    iss: "x",
  });
});

test("white space, line breaks, quotes and brackets are forgiven", () => {
  const whole = `${PAGE}?code=abc&state=${STATE}`;
  const mangled = [
    `  ${whole}\n`,
    `"${whole}"`,
    `'${whole}'`,
    `<${whole}>`,
    `“${whole}”`,
    `(<${whole}>),`,
    `\`${whole}\``,
    whole.replace("&", "\r\n&").replace("callback", "call\n  back"),
    `${whole.slice(0, 70)}\n${whole.slice(70)}`,
    whole.replace("http://", ""),
    `${whole}#`,
    `${whole}#fragment?code=other`,
    `\ufeff${whole}\u200b`,
  ];
  for (const text of mangled) {
    const { state, parameters } = address(text);
    assert.equal(state, STATE, text);
    assert.equal(parameters.get("code"), "abc", text);
  }
});

test("an address that is doubled, incomplete, garbled or an error is refused", () => {
  for (const query of [
    `code=a&code=b&state=${STATE}`,
    `code=a&state=${STATE}&state=${STATE}`,
    `code=a&state=${STATE}&iss=x&iss=y`,
    `code=a&state=${STATE}${PAGE}?code=b&state=${STATE}`,
    `code=a&state=`,
    "code=a",
    `code=&state=${STATE}`,
    `state=${STATE}`,
    `error=access_denied&state=${STATE}`,
    `code=a&error=access_denied&state=${STATE}`,
    `code=%ff&state=${STATE}`,
    "",
  ]) {
    assert.equal(parsePaste(`${PAGE}?${query}`).kind, "refused", query);
  }
});

test("a completion code is recognised however it was typed", () => {
  for (const text of ["KTRW-9F2D", "ktrw9f2d", " KTRW 9F2D\n", '"KTRW–9F2D"', "k-t-r-w-9-f-2-d"]) {
    assert.deepEqual(parsePaste(text), { kind: "completion_code", code: "KTRW-9F2D" }, text);
  }
  assert.deepEqual(parsePaste("OoIi-LlAB"), { kind: "completion_code", code: "0011-11AB" });
});

test("anything else is refused", () => {
  for (const text of [
    "",
    " ",
    "KTRW-9F2",
    "KTRW-9F2D5",
    "KTRU-9F2D",
    "KTRW-9F2é",
    "hello there",
    PAGE,
  ]) {
    assert.equal(parsePaste(text).kind, "refused", text);
  }
});
