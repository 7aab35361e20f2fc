import assert from "node:assert/strict";
import { test } from "node:test";

import { PROVIDER, addEntry, takeBack, witness } from "../../src/mcp/entry.js";
import { serversOf, shownAs } from "../../src/mcp/servers.js";
import type { Config } from "../../src/opencode/interface.js";

test("offered is what is remote, switched on, and has OAuth not switched off", () => {
  const remote = { type: "remote", url: "https://mcp.example/mcp" };
  const mcp = {
    plain: remote,
    mine: { ...remote, oauth: { clientId: "a", clientSecret: "b", scope: "c" } },
    off: { ...remote, enabled: false },
    open: { ...remote, oauth: false as const },
    local: { type: "local" },
    garbled: { type: "remote", url: "no address" },
    partial: { enabled: true },
  };
  const found = serversOf({ mcp });
  assert.deepEqual(found.map(({ name }) => name), ["plain", "mine"]);
  assert.equal(found[1]!.clientSecret, "b");
  assert.deepEqual(serversOf({}), []);
});

test("pages name the server and its host, in 40 characters at most", () => {
  const rest = { url: "", headers: {}, clientId: undefined, clientSecret: undefined, scope: undefined };
  const server = (name: string, host: string) => ({ ...rest, name, title: name, host });
  assert.equal(shownAs(server("linear", "mcp.linear.app")), "linear (mcp.linear.app)");
  assert.equal(shownAs(server("ünï", "mcp.linear.app")), "-n- (mcp.linear.app)");
  const long = "a-very-long-name.of-some-company.example.com";
  // The end of a host name says whose it is.
  assert.equal(shownAs(server("x", long)), long.slice(-40));
  const elsewhere = shownAs(server("x", "mcp.linear.app"), "evil.example");
  assert.equal(elsewhere, "x (mcp.linear.app) at evil.example");
  const both = shownAs(server("x", long), `login.${long}`);
  assert.equal(both, `${long.slice(-16)} at ${long.slice(-20)}`);
  assert.ok(both.length <= 40);
});

test("the line comes into the list, and leaves the configuration as it was", () => {
  const acme = { name: "Acme" };
  for (const config of [
    {},
    { provider: { acme } },
    { provider: { acme }, enabled_providers: ["acme"] },
  ] as Config[]) {
    const before = structuredClone(config);
    addEntry(config);
    assert.equal(Object.keys(config.provider!).at(-1), PROVIDER); // last in a choice
    assert.equal(config.enabled_providers?.includes(PROVIDER) ?? true, true);
    takeBack(config);
    assert.deepEqual(config, before);
  }
});

test("the moment to take it back is that of a provider which is not switched off", () => {
  assert.equal(witness({}), "openai");
  assert.equal(witness({ disabled_providers: ["openai"] }), "anthropic");
});
