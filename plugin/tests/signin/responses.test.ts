/** A provider that is known to send RFC 9207 `iss`, as ChatGPT is not. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { findIdp } from "../../src/idp/provider.js";
import { readSettings } from "../../src/settings.js";
import { makeAttempt } from "../../src/signin/attempt.js";
import { RelayLogin } from "../../src/signin/relay-login.js";
import { issFits, verify } from "../../src/signin/responses.js";
import type { Target } from "../../src/signin/target.js";
import { Harness } from "../harness.js";

const EVIL = "https://evil.example";

test("a missing iss is refused of a provider known to send it, and another one always", () => {
  const idp = { issuer: "https://idp.example", sendsIss: true } as RelayLogin["idp"];
  const fits = (sendsIss: boolean, iss?: string) =>
    issFits({ ...idp, sendsIss }, new Map(iss === undefined ? [] : [["iss", iss]]));
  for (const [sends, iss, good] of [
    [true, idp.issuer, true],
    [true, undefined, false],
    [true, EVIL, false],
    [true, "", false],
    [false, undefined, true],
    [false, idp.issuer, true],
    [false, EVIL, false],
  ] as const) {
    assert.equal(fits(sends, iss), good, `${sends} ${iss}`);
  }
});

test("the relay is told whose iss it is to demand, and the sealed response is held to it", async () => {
  await using h = await new Harness().start();
  const { origin: relay } = h.relay;
  const settings = readSettings({ relay, key: h.relay.key }, {});
  const target: Target = {
    provider: "another",
    name: "Another",
    find: async (found) => ({
      idp: await findIdp({ issuer: h.idp.origin, clientId: "c" }, {}),
      redirectUri: found!.redirectUri,
    }),
    redeem: async () => undefined,
    look: async () => undefined,
  };
  const context = { client: h.client, directory: "/", log: () => undefined };
  const attempt = await makeAttempt(context, settings, target);
  const opened = await attempt.open({});
  assert.equal(h.relay.last.body["idp_issuer"], h.idp.origin);
  const { discovery, idp, redirectUri, secrets } = attempt;
  const login = new RelayLogin(context, target, discovery, idp, redirectUri, secrets).opens(
    opened,
  );
  const verified = async (params: Record<string, string>) =>
    await verify(login, await h.relay.seal(h.relay.last, params));
  assert.equal((await verified({ code: "c1", iss: h.idp.origin })).get("code"), "c1");
  for (const params of [{ code: "c1" }, { code: "c1", iss: EVIL }]) {
    await assert.rejects(verified(params), /not from .*: its iss is /);
  }
  login.end({ type: "failed" });
});
