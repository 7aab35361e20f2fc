import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness } from "../harness.js";

test("discovery counts only of the configured relay, on its own origin, in protocol 1", async () => {
  await using h = await new Harness().start();
  const before = h.relay.count("POST", /logins/);
  for (const [change, says] of [
    [{ protocol: 2 }, /speaks protocol 2.*update/],
    [{ protocol: undefined }, /does not answer as a relay.*"relay"/],
    [{ issuer: "https://evil.example" }, /calls itself https:\/\/evil\.example.*"relay"/],
    [{ issuer: undefined }, /calls itself/],
    [{ logins_endpoint: "https://evil.example/v1/logins" }, /logins_endpoint/],
    [{ jwks_uri: "https://evil.example/jwks.json" }, /jwks_uri/],
    [{ jwks_uri: undefined }, /jwks_uri/],
    [{ redirect_uri: "/auth/callback" }, /redirect_uri/],
    [{ logins_endpoint: h.relay.origin.replace("//", "//user@") }, /logins_endpoint/],
  ] as const) {
    h.relay.discovery = change;
    assert.match(await h.refused(), says);
  }
  assert.equal(h.relay.count("POST", /logins/), before);
});

test("what is wrong is logged when the plugin starts, too", async () => {
  await using h = await new Harness().start();
  h.relay.discovery = { protocol: 2 };
  await h.load({ relay: h.relay.origin });
  assert.ok(h.logged(/^error opencode-relay: .* speaks protocol 2/));
});
