import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { test } from "node:test";

import { CLIENT_ID, Harness, ISSUER, until } from "../harness.js";

const OK = { type: "success" };
const FAILED = { type: "failed" };
const s256 = (text: string) => createHash("sha256").update(text).digest("base64url");

test("auto: the pairing code is shown, the code redeemed once with PKCE, the account stored", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  assert.match(shown.instructions, /^Where the relay asks, enter this code: K7WR-9F2D$/);
  const url = new URL(shown.url);
  const sent = Object.fromEntries(url.searchParams);
  assert.equal(url.origin + url.pathname, `${ISSUER}/oauth/authorize`);
  assert.equal(sent["state"], h.relay.last.state);
  assert.equal(sent["redirect_uri"], `${h.relay.origin}/auth/callback`);
  assert.equal(sent["client_id"], CLIENT_ID);
  assert.equal(sent["code_challenge_method"], "S256");
  assert.equal(h.relay.last.body["idp_issuer"], undefined); // ChatGPT sends no iss
  assert.equal(h.relay.last.body["confirmation"], undefined);

  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), OK);
  assert.equal(h.idp.redeemed.length, 1);
  const grant = h.idp.redeemed[0]!;
  assert.equal(s256(grant.get("code_verifier")!), sent["code_challenge"]);
  assert.equal(grant.get("redirect_uri"), sent["redirect_uri"]);
  assert.equal(h.stored?.type, "oauth");
  assert.deepEqual(
    { ...h.stored, expires: 0 },
    {
      type: "oauth",
      access: "access-acct_1",
      refresh: "refresh-acct_1",
      expires: 0,
      accountId: "acct_1",
    },
  );
  await until(() => h.relay.last.status === "finished" && h.disposals === 1);
  assert.ok(h.logged(/^info opencode-relay: stored account acct_1$/));
});

test("a login asks the relay for no more than it needs: each request costs its operator", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c1", "acct_1");
  const before = h.relay.seen.length;
  const shown = await h.auto();
  await until(() => h.relay.count("GET", /response/) === 1);
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), OK);
  await until(() => h.relay.last.status === "finished" && h.disposals === 1);
  // As opencode does once an account is stored.
  await h.load({ relay: h.relay.origin, key: h.relay.key });
  const asked = h.relay.seen.slice(before).map(({ method, path }) => `${method} ${path}`);
  const id = h.relay.last.id;
  const waiting = `GET /v1/logins/${id}/response?wait=1`;
  assert.deepEqual(asked.filter((one) => one !== waiting), [
    "GET /.well-known/opencode-relay",
    "POST /v1/logins",
    "GET /.well-known/jwks.json",
    `DELETE /v1/logins/${id}`,
  ]);
});

test("no key, verifier, code or token is ever logged", async () => {
  await using h = await new Harness().start();
  h.idp.accounts.set("secret-code", "acct_1");
  const form = await h.code();
  await form.callback(h.page("state-of-another", { code: "secret-code" }));
  await form.callback("KTRW-9F2D");
  await form.callback(h.page(h.state(form), { code: "secret-code" }));
  h.register();
  await h.auto();
  const verifier = h.idp.redeemed[0]!.get("code_verifier")!;
  const text = h.log.join("\n");
  for (const secret of [
    h.relay.key,
    verifier,
    "secret-code",
    "KTRW",
    "access-",
    "refresh-",
    "state-of",
    h.state(form),
    h.relay.last.state,
  ]) {
    assert.ok(!text.includes(secret), secret);
  }
  assert.ok(h.log.length >= 3);
});

test("keys and verifiers are fresh for each login", async () => {
  await using h = await new Harness().start();
  h.register();
  await h.auto();
  await h.auto();
  const [one, two] = h.relay.logins;
  assert.notDeepEqual(one!.body["encryption_key"], two!.body["encryption_key"]);
  assert.notEqual(one!.body["collect_challenge"], two!.body["collect_challenge"]);
});

test("declined, cancelled, and an error of the identity provider fail promptly and are logged", async () => {
  await using h = await new Harness().start();
  h.register();
  const declined = await h.auto();
  h.relay.last.status = "declined";
  assert.deepEqual(await declined.callback(), FAILED);
  assert.ok(h.logged(/declined on the relay's page/));
  const refused = await h.auto();
  const error = { error: "access_denied", error_description: "no\nthanks", iss: ISSUER };
  await h.relay.release(h.relay.last, error);
  assert.deepEqual(await refused.callback(), FAILED);
  assert.ok(h.logged(/answered access_denied \(no thanks\)$/));
  assert.equal(h.stored, undefined);
});

test("a problem that is not known is named, also one that every object knows", async () => {
  await using h = await new Harness().start();
  h.register();
  for (const slug of ["constructor", "__proto__", "toString", "login-lost"]) {
    h.relay.intercept = (seen, answer) => {
      if (!seen.path.includes("/response")) return false;
      h.relay.problem(answer, 410, slug);
      return true;
    };
    const shown = await h.auto();
    assert.deepEqual(await shown.callback(), FAILED);
    assert.ok(h.logged(new RegExp(`the relay ended the login \\(${slug}\\)$`)), h.log.join());
  }
});

test("a response that fails a check is not redeemed", async () => {
  await using h = await new Harness().start();
  h.register();
  for (const [params, change] of [
    [{ code: "c1", iss: ISSUER }, { claims: { iss: "https://evil.example" } }],
    [{ code: "c1", iss: "https://evil.example" }, {}],
    [{ iss: ISSUER }, {}],
  ] as const) {
    const shown = await h.auto();
    await h.relay.release(h.relay.last, params, change);
    assert.deepEqual(await shown.callback(), FAILED);
  }
  assert.equal(h.idp.count("POST", /token/), 0);
  assert.ok(h.logged(/response is refused/));
  assert.ok(h.logged(/its iss is (missing|https:\/\/evil\.example)/));
});

test("a missing iss is accepted of ChatGPT, which is not known to send it", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c1", "acct_1");
  const shown = await h.auto();
  await h.relay.release(h.relay.last, { code: "c1" });
  assert.deepEqual(await shown.callback(), OK);
});

test("collecting outlives cut requests, 503, 429, and nonsense of a proxy", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c1", "acct_1");
  const now = { "retry-after": "0" };
  const troubles: ((answer: ServerResponse) => unknown)[] = [
    (answer) => answer.destroy(),
    (answer) => answer.writeHead(302, { location: "/elsewhere" }).end(),
    (answer) => answer.writeHead(504, now).end("<html>"),
    (answer) => h.relay.problem(answer, 503, "unavailable", {}, now),
    (answer) => h.relay.problem(answer, 429, "rate-limited", {}, now),
    (answer) => answer.writeHead(404, now).end("not found"),
    (answer) => answer.writeHead(200, now).end("<html>sign in to the network</html>"),
  ];
  h.relay.intercept = (seen, answer) => {
    const trouble = seen.path.includes("/response") ? troubles.shift() : undefined;
    trouble?.(answer);
    return trouble !== undefined;
  };
  const shown = await h.auto();
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), OK);
  assert.equal(troubles.length, 0);
  assert.equal(h.idp.redeemed.length, 1);
  assert.equal(h.relay.count("GET", /elsewhere/), 0);
});

test("signing keys that cannot be read are read again; the response is still there", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c1", "acct_1");
  h.relay.intercept = (seen, answer) => {
    if (!seen.path.includes("jwks") || h.relay.count("GET", /jwks/) > 1) return false;
    answer.writeHead(503).end();
    return true;
  };
  const shown = await h.auto();
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await shown.callback(), OK);
  assert.equal(h.relay.count("GET", /jwks/), 2);
});

test("a signing key that is not known is not looked for again within a minute", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c1", "acct_1");
  const known = await h.auto();
  await h.relay.release(h.relay.last, { code: "c1", iss: ISSUER });
  assert.deepEqual(await known.callback(), OK);
  await h.relay.rotate("second");
  await h.auto();
  await h.relay.release(h.relay.last, { code: "c2", iss: ISSUER });
  const collected = h.relay.count("GET", /response/);
  await until(() => h.relay.count("GET", /response/) > collected + 2);
  assert.equal(h.relay.count("GET", /jwks/), 1);
  assert.equal(h.relay.last.status, "released");
});

test("one person's refusal does not end the other's login", async () => {
  await using h = await new Harness().start();
  h.register();
  h.idp.accounts.set("c2", "acct_2");
  const one = await h.auto();
  const two = await h.auto();
  h.relay.logins[0]!.status = "declined";
  assert.deepEqual(await one.callback(), FAILED);
  await h.relay.release(h.relay.logins[1]!, { code: "c2", iss: ISSUER });
  assert.deepEqual(await two.callback(), OK);
});

test("a login that nobody finishes ends with its lifetime", async () => {
  await using h = await new Harness().start();
  h.register();
  h.relay.expiresIn = 0.1;
  const shown = await h.auto();
  assert.deepEqual(await shown.callback(), FAILED);
  assert.ok(h.logged(/not finished in time/));
});

test("the label says what to paste, and only where something is pasted", async () => {
  await using h = await new Harness().start();
  const label = () => h.hooks.auth.methods[0]!.label;
  assert.match(label(), /^ChatGPT: paste the failed page's address$/);
  h.register();
  const options = { relay: h.relay.origin };
  await h.load({ ...options, key: h.relay.key });
  assert.match(label(), /relay \(browser\)$/);
  h.relay.openEnrolment = true;
  await h.load(options);
  assert.match(label(), /relay: type the code its page shows$/);
  assert.match(h.hooks.auth.methods[1]!.label, /\(headless\)$/);
  assert.equal(h.hooks.auth.methods[2]!.type, "api");
});
