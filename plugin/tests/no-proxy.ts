/** What bun.test.ts tries on the real Bun. */

/** Host and NO_PROXY: Bun asks directly, … */
export const DIRECT = [
  ["127.0.0.1", "127.0.0.1"],
  ["127.0.0.1", "localhost, 127.0.0.1"],
  ["127.0.0.1", "localhost,\t127.0.0.1 "],
  ["127.0.0.1", "127.0.0.1:8787"],
  ["127.0.0.1", "*"],
  ["127.0.0.1", "other, * "],
  ["localhost", "LocalHost"],
  ["[::1]", "[::1]"],
  ["[::1]", "[::1]:8787"],
] as const;

/** … asks the proxy, … */
export const PROXIED = [
  ["127.0.0.1", ""],
  ["127.0.0.1", ","],
  ["127.0.0.1", "localhost 127.0.0.1"],
  ["127.0.0.1", "* localhost"],
  ["127.0.0.1", "127.0.0.1:1"],
  ["127.0.0.1", "127.0.0.1:"],
  ["127.0.0.1", "127.0.0.0/8"],
  ["127.0.0.1", "127.*"],
  ["127.0.0.1", "*.0.0.1"],
  ["127.0.0.1", '"127.0.0.1"'],
  ["127.0.0.1", "localhost"],
  ["localhost", "127.0.0.1"],
  ["localhost", "other\nlocalhost"],
  ["localhost", "localhost\u00a0"],
  ["localhost", "\u00a0localhost"],
  ["localhost", "other;localhost"],
  ["localhost", "*.localhost"],
  ["localhost", "localhost."],
  ["[::1]", "::1"],
] as const;

/** … and what it asks directly, but nobody would write on purpose. */
export const STRICTER = [
  ["127.0.0.1", "0.0.1"],
  ["127.0.0.1", "1"],
  ["localhost", ".localhost"],
  ["localhost", "\nlocalhost"],
] as const;
