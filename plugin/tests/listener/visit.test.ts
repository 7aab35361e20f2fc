import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";

import { visitOf } from "../../src/listener/visit.js";

const VALUE = "A".repeat(43);
const COOKIE = `__Host-opencode-relay=${VALUE}`;

/** As the runtime gives it: every header field with its bytes read as Latin-1. */
const of = (...fields: [name: string, value: string][]) =>
  visitOf({ url: "/auth/start", rawHeaders: fields.flat() } as unknown as IncomingMessage);

test("a cookie's name begins where a browser says it does: blanks are SP and HTAB", () => {
  for (const good of [COOKIE, ` ${COOKIE}`, `a=1; ${COOKIE}`, `a=1;\t ${COOKIE} \t;b=2`]) {
    assert.equal(of(["Cookie", good]).browser, VALUE, escape(good));
  }
  // All that trim() or \s would take away beside them, and what is not of Latin-1 for good measure.
  const others = "\xa0\x0b\x0c\r\n\u1680\u2000\u2007\u2028\u2029\u202f\u205f\u3000\ufeff\x85\xad\0";
  for (const byte of others) {
    for (const blanks of [byte, ` ${byte}`, `${byte} `, `\t${byte}\t`]) {
      for (const cookie of [`${blanks}${COOKIE}`, `a=1;${blanks}${COOKIE}`, `${COOKIE}${blanks}`]) {
        const visit = of(["Cookie", cookie]);
        assert.equal(visit.browser, undefined, escape(cookie));
        assert.equal(visit.isDoubled, false);
        assert.equal(of(["Cookie", `${COOKIE}; ${blanks}${COOKIE.replace(/A/g, "B")}`]).browser, VALUE);
      }
    }
  }
  for (const other of [COOKIE.toLowerCase(), `x${COOKIE}`, `"${COOKIE}"`, COOKIE.replace("=", " =")]) {
    assert.equal(of(["Cookie", other]).browser, undefined, other);
  }
});

test("twice is twice, in one field or in two, of which Bun's headers keep the last", () => {
  const forged = `__Host-opencode-relay=${"B".repeat(43)}`;
  for (const fields of [
    [["Cookie", `${COOKIE}; ${forged}`]],
    [["Cookie", `${COOKIE};${COOKIE}`]],
    [["Cookie", `${COOKIE}; __Host-opencode-relay=`]],
    [["Cookie", COOKIE], ["Cookie", forged]],
    [["cookie", forged], ["COOKIE", `a=1; ${COOKIE}`]],
  ] as [string, string][][]) {
    const visit = of(...fields);
    assert.equal(visit.isDoubled, true, fields.join());
    assert.equal(visit.browser, undefined);
  }
  const crumbs = of(["Cookie", "a=1"], ["Cookie", COOKIE], ["Cookie", "b=2"]);
  assert.deepEqual([crumbs.browser, crumbs.isDoubled], [VALUE, false]);
});

test("of several fields none is overlooked", () => {
  const site = "Sec-Fetch-Site";
  assert.equal(of([site, "same-origin"]).sameOrigin, true);
  for (const fields of [
    [[site, "none"], [site, "same-origin"]],
    [[site, "same-origin"], [site, "cross-site"]],
    [[site, "\xa0same-origin"]],
    [[site, "Same-Origin"]],
    [],
  ] as [string, string][][]) {
    assert.equal(of(...fields).sameOrigin, false, fields.join());
  }
  const host = "X-Forwarded-Host";
  assert.equal(of([host, "a.example"], [host, "b.example"]).origin, "https://a.example");
  assert.equal(of([host, "a.example\t, b.example"]).origin, "https://a.example");
  assert.equal(of(["Host", "a.example"], [host, ""]).origin, "https://a.example");
  assert.equal(of([host, "\xa0a.example"]).origin, undefined);
  assert.equal(of([host, "a.example"], ["X-Forwarded-Proto", "\xa0https"]).origin, undefined);
});

test("nothing that reads a header does so with trim() or \\s, or by what the runtime joined", () => {
  const files = readdirSync("src/listener").map((file) => `src/listener/${file}`);
  assert.ok(files.length > 5);
  for (const file of [...files, "src/http.ts"]) {
    const code = readFileSync(file, "utf8").replace(/\/\*.*?\*\/|^\s*\/\/[^\n]*/gms, "");
    assert.doesNotMatch(code, /\.trim|\\s|\brequest\.headers\b|\{ headers \}/, file);
  }
});
