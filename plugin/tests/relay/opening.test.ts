import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness } from "../harness.js";

/** Begins a sign-in that must fail, and returns what the log says of it. */
async function refused(h: Harness): Promise<string> {
  h.log.length = 0;
  await assert.rejects(h.authorize());
  assert.equal(h.log.length, 1);
  return h.log[0]!;
}

test("discovery counts only of the configured relay, on its own origin, in protocol 1", async () => {
  await using h = await new Harness().start();
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
    assert.match(await refused(h), says);
  }
  assert.equal(h.relay.count("POST", /logins/), 0);
});

test("a redirect is an error: the key goes nowhere else", async () => {
  await using h = await new Harness().start();
  h.relay.intercept = (seen, answer) => {
    if (seen.method !== "POST") return false;
    answer.writeHead(307, { location: `${h.idp.origin}/stolen` }).end();
    return true;
  };
  assert.match(await refused(h), /cannot be reached \(UnexpectedRedirect\)/);
  assert.equal(h.idp.count("POST", /stolen/), 0);
});

test("a relay that is down or refuses the key says what to set", async () => {
  await using h = await new Harness().start();
  const options = { issuer: h.idp.origin, clientId: "c" };
  await h.load({ ...options, relay: h.relay.origin, key: "ocr_wrong" });
  assert.match(await refused(h), /does not accept the instance key.*"key" or "keyFile"/);
  await h.load({ ...options, relay: h.relay.origin });
  assert.match(await refused(h), /wants an instance key.*OPENCODE_RELAY_KEY/);
  await h.load({ ...options, relay: "http://127.0.0.1:1" });
  assert.match(await refused(h), /cannot be reached.*"relay".*HTTPS_PROXY/);
  await h.load(options);
  assert.match(await refused(h), /no relay is set.*OPENCODE_RELAY_URL/);
});

test("what is wrong is logged when the plugin starts, too", async () => {
  await using h = await new Harness().start();
  h.relay.discovery = { protocol: 2 };
  await h.load({ relay: h.relay.origin });
  assert.ok(h.logged(/^error opencode-relay: .* speaks protocol 2/));
});

test("too many logins, or a login the protocol does not know, are refused", async () => {
  await using h = await new Harness().start();
  h.relay.intercept = (seen, answer) => {
    if (seen.method !== "POST") return false;
    h.relay.problem(answer, 429, "rate-limited", {}, { "retry-after": "17" });
    return true;
  };
  assert.match(await refused(h), /try again in 17 seconds/);
  const good = {
    login_id: "A".repeat(22),
    state: "s",
    confirmation: "completion_code",
    expires_in: 600,
    max_wait: 20,
  };
  for (const bad of [
    { login_id: "../../elsewhere/aaaaaaaa" },
    { login_id: "A".repeat(21) },
    { state: "" },
    { confirmation: "none" },
    { confirmation: "pairing_code", pairing_code: "K7WR-9F2D" }, // the other one was asked for
    { expires_in: "600" },
    { max_wait: undefined },
  ]) {
    h.relay.intercept = (seen, answer) => {
      if (seen.method !== "POST") return false;
      answer.writeHead(201, { "content-type": "application/json" });
      answer.end(JSON.stringify({ ...good, ...bad }));
      return true;
    };
    assert.match(await refused(h), /not as the protocol says/);
  }
});

test("an identity provider that cannot be found is named", async () => {
  await using h = await new Harness().start();
  h.idp.intercept = (_seen, answer) => {
    answer.writeHead(200).end(JSON.stringify({ issuer: "https://evil.example" }));
    return true;
  };
  assert.match(await refused(h), /does not answer as the identity provider.*"issuer"/);
});
