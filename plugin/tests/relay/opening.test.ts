import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness } from "../harness.js";
import { keyOf } from "../keys.js";

test("a redirect is an error: the key goes nowhere else", async () => {
  await using h = await new Harness().start();
  h.register();
  h.relay.intercept = (seen, answer) => {
    if (seen.method !== "POST") return false;
    answer.writeHead(307, { location: `${h.idp.origin}/stolen` }).end();
    return true;
  };
  assert.match(await h.refused(), /cannot be reached \(UnexpectedRedirect\)/);
  assert.equal(h.idp.count("POST", /stolen/), 0);
});

test("a relay that is down or refuses the key says what to set", async () => {
  await using h = await new Harness().start();
  h.register();
  await h.load({ relay: h.relay.origin, key: keyOf("wrong") });
  assert.match(await h.refused(), /does not accept the instance key.*"key" or "keyFile"/);
  await h.load({ relay: h.relay.origin });
  assert.match(await h.refused(), /wants an instance key.*OPENCODE_RELAY_KEY/);
  await h.load({ relay: "http://127.0.0.1:1" });
  assert.match(await h.refused(), /cannot be reached.*"relay".*HTTPS_PROXY/);
  await h.load({ key: h.relay.key });
  assert.match(await h.refused(), /no relay is set.*OPENCODE_RELAY_URL/);
});

test("too many logins, or a login the protocol does not know, are refused", async () => {
  await using h = await new Harness().start();
  h.register();
  h.relay.intercept = (seen, answer) => {
    if (seen.method !== "POST") return false;
    h.relay.problem(answer, 429, "rate-limited", {}, { "retry-after": "17" });
    return true;
  };
  assert.match(await h.refused(), /try again in 17 seconds/);
  h.relay.intercept = (seen, answer) => {
    if (seen.method !== "POST") return false;
    h.relay.problem(answer, 403, "other", { detail: `Run "x".\n${"y".repeat(900)}` });
    return true;
  };
  assert.match(await h.refused(), /\(status 403\): it says "Run \\"x\\". y{190,200}"/);
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
    { confirmation: "pairing_code" },
    { expires_in: "600" },
    { max_wait: undefined },
  ]) {
    h.relay.intercept = (seen, answer) => {
      if (seen.method !== "POST") return false;
      answer.writeHead(201, { "content-type": "application/json" });
      answer.end(JSON.stringify({ ...good, ...bad }));
      return true;
    };
    assert.match(await h.refused(), /not as the protocol says/);
  }
});
