import assert from "node:assert/strict";
import { test } from "node:test";

import { isNear, whyNot } from "../src/addresses.js";

const PUBLIC = new URL("https://mcp.example/");
const near = (one: string, other: string) => isNear(new URL(one), new URL(other));

test("a server elsewhere names nothing of this machine, or of its network", () => {
  for (const host of [
    ...["localhost", "localhost.", "a.localhost", "a.localhost.", "LOCALHOST", "127.0.0.1"],
    ...["127.1", "0x7f000001", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"],
  ]) {
    assert.match(whyNot(`https://${host}:1/`, PUBLIC)!, /^is this machine's own/, host);
  }
  const behind = ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]", "[::ffff:a00:1]"];
  for (const host of behind) {
    assert.match(whyNot(`https://${host}/`, PUBLIC)!, /^is of a private network/, host);
  }
  for (const host of ["169.254.169.254", "[fe80::1]"]) {
    assert.match(whyNot(`https://${host}/`, PUBLIC)!, /link/, host);
  }
  for (const host of ["1.1.1.1", "172.32.0.1", "[2606:4700::1111]", "localhost.example", "10.example"]) {
    assert.equal(whyNot(`https://${host}/`, PUBLIC), undefined, host);
  }
});

test("one that is there itself names what is as near as it is, and what is farther", () => {
  const [private_, local] = [new URL("https://10.0.0.5/"), new URL("http://127.0.0.1:1/")];
  assert.equal(whyNot("https://192.168.0.1/", private_), undefined);
  assert.match(whyNot("https://169.254.169.254/", private_)!, /link/);
  assert.match(whyNot("http://localhost:1/", private_)!, /this machine/);
  for (const url of ["http://localhost:1/", "https://10.0.0.1/", "https://other.example/"]) {
    assert.equal(whyNot(url, local), undefined);
  }
});

test("an address is https, names nobody, and has no fragment", () => {
  for (const [url, says] of [
    ["http://mcp.example/", /is not https/],
    ["javascript:alert(1)", /is not https/],
    ["https://linear.app:x@evil.example/", /a user's name.*\(https:\/\/evil\.example\)$/],
    ["https://mcp.example/x#f", /a fragment/],
    ["https://mcp.example/x#", /a fragment/],
    ["https://mcp.example/\n", /no address/],
    ["https://mcp.example/ü", /no address/],
    ["/relative", /no address/],
    [`https://mcp.example/${"x".repeat(2_000)}`, /no address/],
    [undefined, /no address/],
  ] as const) {
    assert.match(whyNot(url, PUBLIC)!, says, url);
  }
});

test("near are one host and those below it, at one port", () => {
  assert.ok(near("https://a.example/x", "https://a.example/y"));
  assert.ok(near("https://api.vercel.example/", "https://vercel.example/"));
  assert.ok(near("https://a.example/", "https://cf.mcp.a.example/"));
  for (const [one, other] of [
    ["https://a.example/", "https://b.example/"],
    ["https://www.a.example/", "https://api.a.example/"],
    ["https://nota.example/", "https://a.example/"],
    ["https://example/", "https://a.example/"],
    ["https://a.example:8443/", "https://a.example/"],
    ["http://127.0.0.1:1/", "http://127.0.0.1:2/"],
  ] as const) {
    assert.ok(!near(one, other), `${one} ${other}`);
  }
});
