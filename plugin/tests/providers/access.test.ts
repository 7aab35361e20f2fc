import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { IdpError } from "../../src/idp/provider.js";
import type { Client, StoredAuth } from "../../src/opencode/interface.js";
import { SignedOut, accessToken } from "../../src/providers/access.js";
import type { Gateway } from "../../src/providers/option.js";
import { StubIdp } from "../stub.js";

const idp = new StubIdp();
let state = "";
let gateway: Gateway;
before(async () => {
  process.env["XDG_STATE_HOME"] = state = await mkdtemp(join(tmpdir(), "relay-"));
  await idp.start();
  gateway = { id: "mine", issuer: idp.origin, clientId: "c", scope: "openid", name: "Work SSO" };
});
after(async () => {
  delete process.env["XDG_STATE_HOME"];
  await idp.stop();
  await rm(state, { recursive: true });
});

type Account = Extract<StoredAuth, { type: "oauth" }>;
let stored: StoredAuth | undefined;
let log: string[] = [];
let storeFails = false;
/** What happens while the identity provider answers. */
let meanwhile: () => void = () => undefined;
let answer: Record<string, unknown> | undefined;

const client = {
  auth: {
    set: async ({ path, body }) => {
      assert.equal(path.id, "mine");
      if (storeFails) return { error: {} };
      stored = body;
      return {};
    },
  },
} as Partial<Client> as Client;
const token = (read = async (): Promise<StoredAuth | undefined> => stored): Promise<string> =>
  accessToken(gateway, read, client, (level, text) => void log.push(`${level} ${text}`));

function account(more: Partial<Account> = {}): Account {
  const expires = Date.now() + 3_600_000;
  return { type: "oauth", access: "a1", refresh: "r1", expires, enterpriseUrl: idp.origin, ...more };
}
const expired = (more: Partial<Account> = {}): Account => account({ expires: Date.now(), ...more });

const refreshes = (): string[] =>
  idp.seen.filter(({ path }) => path === "/token").map(({ body }) => body);

beforeEach(() => {
  idp.seen.length = 0;
  log = [];
  storeFails = false;
  meanwhile = () => undefined;
  answer = { access_token: "a2", refresh_token: "r2", expires_in: 600 };
  idp.intercept = (seen, response) => {
    if (seen.path !== "/token") return false;
    meanwhile();
    response.writeHead(answer ? 200 : 400).end(JSON.stringify(answer ?? { error: "invalid_grant" }));
    return true;
  };
});

test("a token is used as long as it lives, and nobody is asked", async () => {
  stored = account();
  assert.equal(await token(), "a1");
  assert.deepEqual(idp.seen, []);
});

test("an expired one is refreshed at its issuer, and what it gives is stored", async () => {
  stored = expired();
  assert.equal(await token(), "a2");
  const form = Object.fromEntries(new URLSearchParams(refreshes()[0]));
  assert.deepEqual(form, { grant_type: "refresh_token", client_id: "c", refresh_token: "r1" });
  const { expires, ...rest } = stored as Account;
  const { expires: _, ...wanted } = account({ access: "a2", refresh: "r2" });
  assert.deepEqual(rest, wanted);
  assert.ok(expires > Date.now() + 500_000);
  assert.equal(await token(), "a2");
  assert.equal(refreshes().length, 1);
});

test("one that is about to expire counts as expired, and a refresh token may stay", async () => {
  stored = expired({ expires: Date.now() + 20_000 });
  answer = { access_token: "a2" };
  assert.equal(await token(), "a2");
  assert.equal((stored as Account).refresh, "r1");
});

test("of many requests at once one refreshes", async () => {
  stored = expired();
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 9 }, () => token()))), new Set(["a2"]));
  assert.equal(refreshes().length, 1);
});

test("a refused refresh is said in words, and tried again by the next request", async () => {
  stored = expired();
  answer = undefined;
  await assert.rejects(token(), (error: Error) => {
    assert.ok(error instanceof SignedOut);
    assert.match(error.message, /^the sign-in with Work SSO does not count any more .*invalid_grant.*opencode auth login --provider mine$/);
    return true;
  });
  answer = { access_token: "a2" };
  assert.equal(await token(), "a2");
});

test("a provider that is out of order does not end the sign-in", async () => {
  stored = expired();
  idp.intercept = ({ path }, response) => path === "/token" && Boolean(response.writeHead(503).end());
  await assert.rejects(token(), (error) => error instanceof IdpError);
  assert.deepEqual(stored, expired({ expires: (stored as Account).expires }));
});

test("nor does an answer that is no token", async () => {
  stored = expired();
  for (const access_token of ["a\nb", "ä", "", 7, undefined]) {
    answer = { access_token };
    await assert.rejects(token(), /refused the refresh token \(status 200/);
  }
  answer = { access_token: "a2", token_type: "mac" };
  await assert.rejects(token(), /refused the refresh token \(status 200/);
});

test("an account of another issuer is not used, and its refresh token shown to nobody", async () => {
  for (const enterpriseUrl of ["https://other.example", ""]) {
    stored = expired({ enterpriseUrl });
    await assert.rejects(token(), /of another issuer/);
    stored = account({ enterpriseUrl });
    await assert.rejects(token(), /of another issuer/);
  }
  assert.deepEqual(idp.seen, []);
});

test("without an account, or with a key in its place, the person is to sign in", async () => {
  for (stored of [undefined, { type: "api", key: "k" }] as const) {
    await assert.rejects(token(), (error) => error instanceof SignedOut && /nobody is signed in/.test(error.message));
  }
  stored = expired({ refresh: "" });
  await assert.rejects(token(), /its time is over/);
  assert.deepEqual(idp.seen, []);
});

test("what is read while auth.json is being written is read again", async () => {
  let reads = 0;
  assert.equal(await token(async () => ((reads += 1) === 1 ? undefined : account())), "a1");
});

test("a refresh that ends after a Disconnect stores nothing", async () => {
  stored = expired();
  meanwhile = () => (stored = undefined);
  await assert.rejects(token(), /nobody is signed in/);
  assert.equal(stored, undefined);
});

test("nor does one that ends after another sign-in, whose token is used", async () => {
  stored = expired();
  meanwhile = () => (stored = account({ access: "a9", refresh: "r9" }));
  assert.equal(await token(), "a9");
  assert.equal((stored as Account).access, "a9");
});

test("what opencode does not store is used all the same, and the log says so", async () => {
  stored = expired();
  storeFails = true;
  assert.equal(await token(), "a2");
  assert.match(log[0]!, /^error opencode did not store the new token of Work SSO/);
});
