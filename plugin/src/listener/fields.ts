/**
 * Reads header fields as HTTP has them. Around values it allows SP and HTAB, nothing else: `trim()`
 * also takes U+00A0 away, which the runtime makes of a byte 0xA0, and what a browser takes for
 * another name would become ours.
 */

import type { IncomingMessage } from "node:http";

/**
 * The values of every field of that name, in their order. `name` in lower case.
 *
 * Of a field that came twice Bun's `headers` has the last, Node's has both in one.
 */
export function fields({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]!.toLowerCase() === name);
}

/** What stands between the separators, without the blanks around it. */
export function items(value: string, separator: string): string[] {
  return value.split(separator).map((one) => one.replace(/^[ \t]+|[ \t]+$/g, ""));
}
