import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

/** From the lowest to the highest: a file imports from its own room and from those below it. */
const ROOMS = [
  ...["http", "addresses", "settings", "relay", "idp", "opencode", "signin", "listener"],
  ...["providers", "mcp", "connected", "index"],
];

const room = (file: string) => ROOMS.indexOf(file.split("/")[0]!.replace(/\.ts$/, ""));

/** Of each file of the source those it imports, for types too. */
const IMPORTS = new Map(
  readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => {
      const text = readFileSync(join("src", file), "utf8");
      const found = text.matchAll(/(?:\bfrom|\bimport\(?)\s*"(\.[^"]+)\.js"/g);
      return [file, [...found].map((one) => `${join(dirname(file), one[1]!)}.ts`)] as const;
    }),
);

test("every file is in a room, and imports from no higher one", () => {
  for (const [file, imported] of IMPORTS) {
    assert.ok(room(file) >= 0, `${file} is in no room that this test knows`);
    for (const other of imported) {
      assert.ok(IMPORTS.has(other), `${file} imports ${other}, which is not there`);
      assert.ok(room(other) <= room(file), `${file} imports ${other}, of a higher room`);
    }
  }
  assert.ok(IMPORTS.get("index.ts")!.length > 5); // the imports were found at all
});

test("no two files import each other, nor several in a ring", () => {
  const done = new Set<string>();
  const follow = (file: string, path: readonly string[]): void => {
    const ring = path.indexOf(file);
    assert.ok(ring < 0, `a ring of imports: ${[...path.slice(ring), file].join(" > ")}`);
    if (done.has(file)) return;
    for (const other of IMPORTS.get(file)!) follow(other, [...path, file]);
    done.add(file);
  };
  for (const file of IMPORTS.keys()) follow(file, []);
});
