import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import * as plugin from "../../src/index.js";
import type { Authorization, Client, Hooks, StoredAuth } from "../../src/opencode/interface.js";
import { MOST } from "../../src/providers/option.js";
import { until } from "../harness.js";
import { StubIdp, StubRelay } from "../stub.js";

const BASE = "https://ai.example/v1";
const CONFIG = { provider: { mine: { options: { baseURL: BASE } } } };

class World implements AsyncDisposable {
  readonly relay = new StubRelay();
  readonly idp = new StubIdp();
  readonly log: string[] = [];
  readonly stored = new Map<string, StoredAuth>();
  readonly made: Hooks[] = [];
  /** opencode's configuration without any project's. */
  global: unknown = {};
  state = "";
  /** Each test has a provider of its own, for what is known of one outlives an instance. */
  id = "mine";

  readonly client: Client = {
    _client: { get: async ({ url }) => ({ data: url === "/global/config" ? this.global : {} }) },
    mcp: { status: async () => ({}), connect: async () => undefined },
    app: { log: async ({ body }) => void this.log.push(`${body.level} ${body.message}`) },
    auth: {
      set: async ({ path, body }) => {
        this.stored.set(path.id, body);
        return {};
      },
    },
    instance: { dispose: async () => undefined },
    provider: { oauth: { authorize: async () => undefined } },
  };

  async start(): Promise<this> {
    process.env["XDG_STATE_HOME"] = this.state = await mkdtemp(join(tmpdir(), "relay-"));
    await this.relay.start();
    await this.idp.start();
    return this;
  }

  get options(): Record<string, unknown> {
    const entry = { id: this.id, issuer: this.idp.origin, clientId: "c", name: "Work SSO" };
    return { relay: this.relay.origin, key: this.relay.key, providers: [entry] };
  }

  async gateway(options = this.options, config: object = CONFIG): Promise<Hooks> {
    const hooks = await plugin.gateway1({ client: this.client, directory: "/" }, options);
    this.made.push(hooks);
    await hooks.config?.(config);
    return hooks;
  }

  async gitlab(env: Record<string, string>, options = {}): Promise<Hooks> {
    Object.assign(process.env, env);
    const all = { ...this.options, gitlab: true, providers: [], ...options };
    const hooks = await plugin.gitlab({ client: this.client, directory: "/" }, all);
    this.made.push(hooks);
    return hooks;
  }

  /** What the id token says of the account that a code gives. */
  account(code: string, url: string, claims: object = {}): void {
    this.idp.accounts.set(code, code);
    const nonce = new URL(url).searchParams.get("nonce");
    const exp = Date.now() / 1000 + 600;
    this.idp.claims.set(code, { iss: this.idp.origin, aud: "c", exp, nonce, email: "a@b", ...claims });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Disconnect: no login of one test reaches into the next.
    for (const { auth } of this.made) {
      await auth?.loader(async () => ({ type: "api", key: "" }));
      await auth?.loader(async () => undefined);
    }
    for (const name of ["XDG_STATE_HOME", "GITLAB_INSTANCE_URL", "GITLAB_OAUTH_CLIENT_ID"]) {
      delete process.env[name];
    }
    await this.relay.stop();
    await this.idp.stop();
    await rm(this.state, { recursive: true });
  }
}

async function begin(hooks: Hooks): Promise<Authorization> {
  const [first] = hooks.auth!.methods;
  assert.ok(first?.type === "oauth");
  return await first.authorize();
}

async function finish(shown: Authorization): Promise<string> {
  assert.ok(shown.method === "auto");
  return (await shown.callback()).type;
}

test("signing in asks that provider, and keeps the account under its own id", async () => {
  await using w = await new World().start();
  const hooks = await w.gateway();
  assert.equal(hooks.auth!.provider, "mine");
  await until(() => w.relay.seen.length > 0);
  assert.equal(hooks.auth!.methods[0]!.label, "Work SSO via relay (browser)");
  const shown = await begin(hooks);
  assert.match(shown.instructions, /: K7WR-9F2D$/);
  const url = new URL(shown.url);
  assert.equal(url.origin + url.pathname, `${w.idp.origin}/authorize`);
  assert.equal(url.searchParams.get("redirect_uri"), `${w.relay.origin}/auth/callback`);
  assert.equal(url.searchParams.get("scope"), "openid email offline_access");
  assert.equal(url.searchParams.get("prompt"), "consent");
  assert.match(url.searchParams.get("nonce")!, /^[\w-]{43}$/);
  assert.equal(w.relay.last.body["provider"], "Work SSO");
  assert.equal(w.relay.last.body["idp_issuer"], w.idp.origin);

  w.account("c1", shown.url);
  await w.relay.release(w.relay.last, { code: "c1", iss: w.idp.origin });
  assert.equal(await finish(shown), "success");
  const { expires, ...entry } = w.stored.get("mine") as Extract<StoredAuth, { type: "oauth" }>;
  assert.deepEqual(entry, {
    type: "oauth",
    access: "access-c1",
    refresh: "refresh-c1",
    enterpriseUrl: w.idp.origin,
  });
  assert.ok(expires > Date.now());
  assert.deepEqual([...w.stored.keys()], ["mine"]);
  assert.ok(w.log.some((line) => line.includes("stored account a@b")));

  const { apiKey, fetch } = await hooks.auth!.loader(async () => w.stored.get("mine"));
  assert.ok(apiKey && fetch);
});

test("the token goes where the global configuration has the provider, whatever a project says", async () => {
  await using w = await new World().start();
  const at = (baseURL: string) => ({ provider: { mine: { options: { baseURL } } } });
  const here = `${w.idp.origin}/v1`;
  const { auth } = await w.gateway(w.options, at(here));
  const [refresh, access, expires] = ["r", "the-token", Date.now() + 600_000];
  w.stored.set("mine", { type: "oauth", refresh, access, expires, enterpriseUrl: w.idp.origin });
  const { fetch } = await auth!.loader(async () => w.stored.get("mine"));
  for (const [global, named] of [
    [at("https://ai.example/v1"), /names https:\/\/ai\.example\/v1 for/],
    [at(`${here}/`), /names http.*\/v1\/ for/],
    [{ provider: {} }, /names no baseURL for/],
    [undefined, /names no baseURL for/],
  ] as const) {
    w.global = global;
    await assert.rejects(fetch!(`${here}/chat`), named);
  }
  assert.equal(w.idp.seen.length, 0);
  w.global = at(here);
  await fetch!(`${here}/chat`);
  assert.deepEqual(w.idp.seen.map(({ authorization }) => authorization), ["Bearer the-token"]);
});

test("without an instance key the relay's page has a code, which is typed into opencode", async () => {
  await using w = await new World().start();
  w.relay.openEnrolment = true;
  w.relay.confirmation = "completion_code";
  const shown = await begin(await w.gateway({ ...w.options, key: "" }));
  assert.ok(shown.method === "code");
  w.account("c5", shown.url);
  w.relay.callback = { code: "c5", iss: w.idp.origin };
  w.relay.last.status = "held";
  assert.equal((await shown.callback("0000-0000")).type, "failed");
  assert.equal((await shown.callback("KTRW-9F2D")).type, "success");
  assert.ok(w.stored.has("mine"));
});

test("an id token of another sign-in is refused, and nothing stored", async () => {
  await using w = await new World().start();
  const shown = await begin(await w.gateway());
  w.account("c2", shown.url, { nonce: "of another sign-in" });
  await w.relay.release(w.relay.last, { code: "c2", iss: w.idp.origin });
  assert.equal(await finish(shown), "failed");
  assert.ok(w.log.some((line) => /id token is refused: its nonce/.test(line)));
  assert.equal(w.stored.size, 0);
});

test("an answer of another issuer is refused", async () => {
  await using w = await new World().start();
  const shown = await begin(await w.gateway());
  w.account("c3", shown.url);
  await w.relay.release(w.relay.last, { code: "c3", iss: "https://evil.example" });
  assert.equal(await finish(shown), "failed");
  assert.equal(w.idp.redeemed.length, 0);
});

test("without openid and offline_access neither nonce nor consent is asked for", async () => {
  await using w = await new World().start();
  const [entry] = w.options["providers"] as object[];
  const shown = await begin(await w.gateway({ ...w.options, providers: [{ ...entry, scope: "ai" }] }));
  const { searchParams } = new URL(shown.url);
  assert.equal(searchParams.get("scope"), "ai");
  assert.ok(!searchParams.has("nonce") && !searchParams.has("prompt"));
});

test("no refresh token: it is taken, and the log says that people will have to sign in again", async () => {
  await using w = await new World().start();
  const shown = await begin(await w.gateway());
  const id = { nonce: new URL(shown.url).searchParams.get("nonce"), iss: w.idp.origin, aud: "c", exp: 9e9 };
  const token = `e30.${Buffer.from(JSON.stringify(id)).toString("base64url")}.`;
  w.idp.intercept = ({ path }, answer) => {
    if (path !== "/token") return false;
    answer.writeHead(200).end(JSON.stringify({ access_token: "a", id_token: token }));
    return true;
  };
  await w.relay.release(w.relay.last, { code: "c4", iss: w.idp.origin });
  assert.equal(await finish(shown), "success");
  assert.ok(w.log.some((line) => /warn .*Work SSO gave no refresh token/.test(line)));
});

test("a provider that opencode.json lacks, or without a baseURL, has no sign-in, and the log says why", async () => {
  await using w = await new World().start();
  w.id = "lacking";
  assert.equal((await w.gateway(w.options, {})).auth, undefined);
  await w.gateway(w.options, {});
  const told = w.log.filter((line) => /error .*no provider "lacking".*add it/.test(line));
  assert.equal(told.length, 1);
  assert.equal((await w.gateway(w.options, { provider: { lacking: {} } })).auth, undefined);
  assert.ok(w.log.some((line) => /error .*"lacking".*no baseURL of its own/.test(line)));
});

test("an entry that is wrong is said, once, and the others work", async () => {
  await using w = await new World().start();
  const providers = [...(w.options["providers"] as object[]), { id: "openai" }];
  const options = { ...w.options, providers };
  assert.ok((await w.gateway(options)).auth);
  const input = { client: w.client, directory: "/" };
  assert.deepEqual(await plugin.gateway2(input, options), {});
  await plugin.gateway2(input, options);
  assert.equal(w.log.filter((line) => line.includes('"openai" is taken by opencode')).length, 1);
  assert.deepEqual(await plugin.gateway3(input, options), {});
});

test("there is an export for each gateway that may be set", () => {
  const names = Object.keys(plugin).filter((name) => name.startsWith("gateway"));
  assert.equal(names.length, MOST);
});

test("GitLab with one's own application: through the relay, stored where opencode refreshes it", async () => {
  await using w = await new World().start();
  const hooks = await w.gitlab({ GITLAB_INSTANCE_URL: w.idp.origin, GITLAB_OAUTH_CLIENT_ID: "own" });
  const shown = await begin(hooks);
  const url = new URL(shown.url);
  assert.equal(url.origin + url.pathname, `${w.idp.origin}/oauth/authorize`);
  assert.equal(url.searchParams.get("client_id"), "own");
  assert.equal(url.searchParams.get("scope"), "api");
  assert.equal(url.searchParams.get("redirect_uri"), `${w.relay.origin}/auth/callback`);
  w.idp.accounts.set("g1", "g1");
  await w.relay.release(w.relay.last, { code: "g1" });
  assert.equal(await finish(shown), "success");
  const { expires: _, ...entry } = w.stored.get("gitlab") as Extract<StoredAuth, { type: "oauth" }>;
  assert.deepEqual(entry, {
    type: "oauth",
    access: "access-g1",
    refresh: "refresh-g1",
    enterpriseUrl: w.idp.origin,
  });
  assert.deepEqual(await hooks.auth!.loader(async () => w.stored.get("gitlab")), {});
});

test("GitLab with opencode's application: by paste, without a relay", async () => {
  await using w = await new World().start();
  const hooks = await w.gitlab({}, { relay: "", key: "" });
  assert.deepEqual(
    hooks.auth!.methods.map(({ label }) => label),
    ["GitLab: paste the failed page's address", "GitLab Personal Access Token"],
  );
  const shown = await begin(hooks);
  const url = new URL(shown.url);
  assert.equal(url.origin, "https://gitlab.com");
  assert.equal(url.searchParams.get("redirect_uri"), "http://127.0.0.1:8080/callback");
  assert.equal(shown.method, "code");
  assert.equal(w.relay.seen.length, 0);
});

test("GitLab elsewhere without an application of one's own is refused, and left alone unless asked for", async () => {
  await using w = await new World().start();
  await assert.rejects(begin(await w.gitlab({ GITLAB_INSTANCE_URL: w.idp.origin })), /has no application on .*GITLAB_OAUTH_CLIENT_ID/);
  assert.deepEqual(await w.gitlab({}, { gitlab: false }), {});
});
