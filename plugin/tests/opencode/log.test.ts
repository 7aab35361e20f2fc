import assert from "node:assert/strict";
import { test } from "node:test";

import type { Client } from "../../src/opencode/interface.js";
import { logger } from "../../src/opencode/log.js";

test("what is logged is one line, of no end, that no terminal obeys", () => {
  const written: string[] = [];
  const log = async ({ body }: { body: { message: string } }) => void written.push(body.message);
  const said = logger({ app: { log } } as unknown as Client);
  said("info", "Größe\nlevel=INFO\u001b[31m\u202e\u2028\u0085x");
  said("info", "y".repeat(9_000));
  assert.equal(written[0], "opencode-relay: Größe level=INFO [31m x");
  assert.equal(written[1]!.length, "opencode-relay: ".length + 2_000);
});
