import assert from "node:assert/strict";
import { test } from "node:test";

import { Harness } from "../harness.js";

test("an identity provider that cannot be found is named", async () => {
  await using h = await new Harness().start();
  h.idp.intercept = (_seen, answer) => {
    answer.writeHead(200).end(JSON.stringify({ issuer: "https://evil.example" }));
    return true;
  };
  assert.match(await h.refused(), /does not answer as the identity provider.*"issuer"/);
});
