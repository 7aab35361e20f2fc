import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { PROVIDER, hasList } from "../../src/mcp/entry.js";
import { mcp } from "../../src/mcp/plugin.js";
import type { Authorization, Client, Config, ListedHooks } from "../../src/opencode/interface.js";
import { liveLogins } from "../../src/signin/logins.js";
import { StubRelay } from "../stub.js";
import { StubMcp } from "./stub.js";

process.env["NO_PROXY"] = "127.0.0.1";

const relay = new StubRelay();
let server: StubMcp;
let home = "";
let log: string[] = [];
let connects: string[] = [];
let version = "1.18.33";
let status = "connected";
const loaded: ListedHooks[] = [];
let providers: { id: string }[] | undefined;

before(async () => {
  await relay.start();
  home = await mkdtemp(join(tmpdir(), "relay-"));
  process.env["XDG_DATA_HOME"] = home;
  process.env["XDG_STATE_HOME"] = home;
});
beforeEach(async () => {
  server = await new StubMcp().start();
  log = [];
  connects = [];
  version = "1.18.33";
  status = "connected";
  providers = undefined;
});
afterEach(async () => {
  for (const login of liveLogins()) login.end({ type: "failed" });
  for (const hooks of loaded.splice(0)) await hooks.dispose();
  await server.stop();
});
after(async () => {
  await relay.stop();
  delete process.env["XDG_DATA_HOME"];
  delete process.env["XDG_STATE_HOME"];
  await rm(home, { recursive: true });
});

function client(directory: string): Client {
  return {
    _client: {
      get: async ({ url }) => ({ data: url === "/config/providers" ? { providers } : { version } }),
    },
    app: { log: async ({ body }) => void log.push(`${body.level} ${body.message}`) },
    mcp: {
      status: async () => ({ data: { demo: { status }, closed: { status } } }),
      connect: async ({ path }) => void connects.push(`${path.name} in ${directory}`),
    },
    auth: { set: async () => ({}) },
    instance: { dispose: async () => undefined },
    provider: { oauth: { authorize: async () => undefined } },
  };
}

const viaRelay = (): Record<string, unknown> => ({ relay: relay.origin, key: relay.key });

async function opened(
  directory: string,
  options: Record<string, unknown> = viaRelay(),
  config: Config = { mcp: { demo: { type: "remote", url: server.server().url } } },
): Promise<ListedHooks> {
  const hooks = await mcp({ client: client(directory), directory }, options);
  await hooks.config(config);
  loaded.push(hooks);
  return hooks;
}

async function begin(hooks: ListedHooks, way = 0, name = "demo"): Promise<Authorization> {
  const method = hooks.auth!.methods[way]!;
  assert.equal(method.type, "oauth");
  return await (method as Extract<typeof method, { type: "oauth" }>).authorize({ server: name });
}

const labels = (hooks: ListedHooks): string[] => hooks.auth!.methods.map(({ label }) => label);

const entry = async (): Promise<unknown> => {
  const file = await readFile(join(home, "opencode/mcp-auth.json"), "utf8");
  return (JSON.parse(file) as Record<string, unknown>)["demo"];
};

test("the lines are those that can work, and none where there is no server", async () => {
  const first = /^Via relay/;
  const [one, carried, pasted] = labels(await opened("/a", { ...viaRelay(), catcher: true }));
  assert.match(one!, first);
  assert.match(carried!, /extension or catcher/);
  assert.match(pasted!, /^Refused the relay\? Paste/);
  assert.equal(labels(await opened("/a")).length, 2);
  assert.deepEqual(labels(await opened("/a", {})), ["Paste the failed page's address"]);
  assert.match(labels(await opened("/a", { relai: "" }))[0]!, first);
  for (const label of [one, carried, pasted]) assert.ok(label!.length <= 52);

  const config: Config = { mcp: {} };
  assert.equal((await opened("/a", viaRelay(), config)).auth, undefined);
  assert.equal(config.provider, undefined);
});

test("the line leaves the configuration when opencode has read it", async () => {
  const config: Config = { mcp: { demo: { type: "remote", url: server.server().url } } };
  const hooks = await opened("/a", viaRelay(), config);
  const line = config.provider![PROVIDER] as { models: { none: object } };
  assert.deepEqual(line.models.none, { name: "no model" }); // opencode's terminal UI looks at it
  assert.equal(hooks.provider.id, "openai");
  const models = {};
  assert.equal(await hooks.provider.models({ models }), models);
  assert.equal(config.provider, undefined);
  assert.deepEqual(line.models.none, { name: "no model", release_date: 0 });
});

test("where it could not leave it again it is not put there, and the log says so", async () => {
  const known = ["openai", "anthropic", "google", "openrouter", "opencode", "github-copilot"];
  const mcp = { demo: { type: "remote", url: server.server().url } };
  const config: Config = { mcp, disabled_providers: known };
  assert.equal((await opened("/a", viaRelay(), config)).auth!.provider, PROVIDER);
  assert.equal(config.provider, undefined);
  assert.ok(log.some((line) => line.includes("opencode auth login --provider mcp-servers")));
  const some: Config = { mcp, disabled_providers: known.slice(0, 5) };
  assert.equal((await opened("/a", viaRelay(), some)).provider.id, "github-copilot");
});

test("where nothing else is connected opencode finds no default model, not this line", async () => {
  const read = async (connected: string[] | undefined, named = {}): Promise<unknown> => {
    providers = connected?.map((id) => ({ id }));
    const mcp = { demo: { type: "remote", url: server.server().url } };
    const config: Config = { mcp, ...named };
    await (await opened("/a", viaRelay(), config)).provider.models({ models: {} });
    await new Promise((resolve) => setTimeout(resolve, 0));
    return config.provider;
  };
  assert.deepEqual(await read([PROVIDER]), { "no-provider-is-connected": {} });
  assert.equal(await read(["openai", PROVIDER]), undefined);
  assert.equal(await read(undefined), undefined); // opencode did not answer
  const provider = { work: {} };
  assert.deepEqual(await read([PROVIDER], { provider }), provider);
});

test("commands that take or show models have no such line", () => {
  assert.ok(hasList(["bun", "/opencode", "web", "--port", "4096"]));
  assert.ok(!hasList(["bun", "/opencode", "--print-logs", "models"]));
});

test("a sign-in through the relay ends with tokens in opencode's file, and every project connected", async () => {
  server.tokens = { access_token: "a", refresh_token: "r", token_type: "Bearer", scope: "s" };
  const hooks = await opened("/a");
  await opened("/b");
  const other = { other: { type: "remote", url: "https://other.example/mcp" } };
  await opened("/c", viaRelay(), { mcp: other });
  const shown = await begin(hooks);
  assert.equal(shown.method, "auto");
  assert.match(shown.instructions, /: K7WR-9F2D$/);
  assert.equal(new URL(shown.url).searchParams.get("resource"), server.server().url);
  assert.equal(relay.last.body["provider"], `demo (${new URL(server.origin).host})`);

  await relay.release(relay.last, { code: "the-code" });
  assert.deepEqual(await (shown as { callback(): Promise<unknown> }).callback(), { type: "success" });
  assert.deepEqual(await entry(), {
    tokens: { accessToken: "a", refreshToken: "r", scope: "s" },
    clientInfo: { clientId: "registered" },
    serverUrl: server.server().url,
  });
  assert.deepEqual(connects.sort(), ["demo in /a", "demo in /b"]);
});

test("nobody signs in to a server while a project is open that has another of its name", async () => {
  const hooks = await opened("/a");
  const other = await opened("/d", viaRelay(), {
    mcp: { demo: { type: "remote", url: "https://other.example/mcp" } },
  });
  await assert.rejects(begin(hooks), /demo is another server in \/d, which is open too/);
  await other.dispose();
  assert.equal((await begin(hooks)).method, "auto");
});

test("a token that has expired at once is stored as expired", async () => {
  server.tokens = { access_token: "a", token_type: "Bearer", expires_in: 0 };
  const shown = await begin(await opened("/a"));
  await relay.release(relay.last, { code: "the-code" });
  await (shown as { callback(): Promise<unknown> }).callback();
  const { tokens } = (await entry()) as { tokens: { expiresAt: number } };
  assert.ok(tokens.expiresAt <= Date.now() / 1000);
});

test("a sign-in to one server is not the answer to a dialog of another", async () => {
  const { url } = server.server();
  const config: Config = { mcp: { demo: { type: "remote", url }, other: { type: "remote", url } } };
  const hooks = await opened("/a", viaRelay(), config);
  const answers: string[] = [];
  for (const name of ["other", "demo", "demo"]) {
    const { callback } = (await begin(hooks, 0, name)) as { callback(): Promise<{ type: string }> };
    void callback().then(({ type }) => void answers.push(`${name} ${type}`));
  }
  await relay.release(relay.last, { code: "the-code" });
  while (answers.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(answers, ["demo success", "demo success"]);
});

test("where people sign in elsewhere than at the server, dialog, page and log say where", async () => {
  const { port, host } = new URL(server.origin);
  server.metadata = {
    authorization_endpoint: `http://localhost:${port}/authorize`,
    authorization_response_iss_parameter_supported: true,
  };
  const shown = await begin(await opened("/a"));
  assert.equal(shown.instructions, `At localhost:${port}. Code for the relay's page: K7WR-9F2D`);
  assert.equal(relay.last.body["provider"], `${host} at localhost:${port}`.slice(-40));
  assert.ok(log.some((line) => line.endsWith(`demo (${host}) has people sign in at localhost:${port}`)));
});

test("the log says to whom a configured client secret goes", async () => {
  const oauth = { clientId: "mine", clientSecret: "a-secret" };
  const demo = { type: "remote", url: server.server().url, oauth };
  const shown = await begin(await opened("/a", viaRelay(), { mcp: { demo } }));
  await relay.release(relay.last, { code: "the-code" });
  await (shown as { callback(): Promise<unknown> }).callback();
  const { host } = new URL(server.origin);
  assert.ok(log.some((line) => line.endsWith(`demo's client secret goes to ${host}`)));
  assert.ok(!log.some((line) => line.includes("a-secret")));
});

test("a log line is one line, whatever a server is called", async () => {
  const url = "https://mcp.example/";
  const name = "x\n\u001b[31mlevel=INFO \u202e\u2028" + "y".repeat(9_000);
  server.resource = { resource: "https://other.example/" };
  const { url: at } = server.server();
  const hooks = await opened("/a", viaRelay(), { mcp: { [name]: { type: "remote", url: at }, z: { type: "remote", url } } });
  await assert.rejects(begin(hooks, 0, name));
  for (const line of log) assert.match(line, /^[\x20-\x7e]{1,2100}$/);
  assert.ok(log.some((line) => line.includes("does not say how to sign in")));
});

test("where it is not connected then, the log says so", async () => {
  status = "failed";
  const shown = await begin(await opened("/a"));
  await relay.release(relay.last, { code: "the-code" });
  await (shown as { callback(): Promise<unknown> }).callback();
  assert.ok(log.some((line) => /signed in to, but in \/a its status is failed/.test(line)));
});

test("where iss is announced an answer without it, or another's, is refused", async () => {
  server.metadata = { authorization_response_iss_parameter_supported: true };
  for (const params of [{ code: "c" }, { code: "c", iss: "https://wrong.example" }]) {
    const shown = await begin(await opened("/a"));
    assert.equal(relay.last.body["idp_issuer"], server.origin);
    await relay.release(relay.last, params);
    assert.deepEqual(await (shown as { callback(): Promise<unknown> }).callback(), { type: "failed" });
  }
  assert.deepEqual(server.forms(), []);
});

test("without a relay, and for a server that refuses it, the page's address is pasted", async () => {
  for (const [options, way] of [[{}, 0], [viaRelay(), 1]] as const) {
    const before = relay.logins.length;
    const shown = await begin(await opened("/a", options), way);
    assert.equal(shown.method, "code");
    const asked = new URL(shown.url).searchParams;
    const page = `${asked.get("redirect_uri")}?code=c&state=${asked.get("state")}`;
    const { callback } = shown as { callback(text: string): Promise<unknown> };
    assert.deepEqual(await callback(page), { type: "success" });
    assert.equal(relay.logins.length, before);
  }
});

test("another version of opencode is noticed before anything is asked", async () => {
  for (version of ["2.0.0", "", "12.1.0"]) {
    await assert.rejects(begin(await opened("/a")), /it signs in to none/);
  }
  assert.ok(log.some((line) => line.startsWith("error ") && line.includes("opencode 2.0.0")));
  assert.deepEqual(server.seen, []);
});

test("a server that the configuration does not have is not signed in to", async () => {
  await assert.rejects(begin(await opened("/a"), 0, "elsewhere"), /no such MCP server/);
});

test("where opencode knows of a failure alone the server is asked whether it wants a sign-in", async () => {
  status = "failed";
  const closed = { type: "remote", url: "http://127.0.0.1:1/mcp" };
  const demo = { type: "remote", url: server.server().url };
  const hooks = await opened("/a", viaRelay(), { mcp: { closed, demo } });
  const read = () => {
    const [method] = hooks.auth!.methods as readonly { prompts?: readonly { options: object[] }[] }[];
    return method!.prompts![0]!.options;
  };
  const { host } = new URL(server.origin);
  const wanted = { label: "demo", value: "demo", hint: `${host}, needs a sign-in` };
  for (let tries = 0; tries < 500 && !JSON.stringify(read()).includes("needs"); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(read(), [
    wanted,
    { label: "closed", value: "closed", hint: "127.0.0.1:1, not connected" },
  ]);
});

test("the menu names hosts, and first those that need a sign-in", async () => {
  status = "needs_auth";
  const remote = { type: "remote", url: "https://mcp.example/" };
  const demo = { type: "remote", url: server.server().url };
  const hooks = await opened("/a", viaRelay(), { mcp: { first: remote, demo } });
  const read = () => {
    const [method] = hooks.auth!.methods as readonly { prompts?: readonly { options: object }[] }[];
    return method!.prompts![0]!.options;
  };
  read(); // and the look begins
  await new Promise((resolve) => setTimeout(resolve, 10));
  const { host } = new URL(server.origin);
  assert.deepEqual(read(), [
    { label: "demo", value: "demo", hint: `${host}, needs a sign-in` },
    { label: "first", value: "first", hint: "mcp.example" },
  ]);
});
