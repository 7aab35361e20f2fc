/** Reads what a person pasted into opencode's one input. */

import { printable } from "../http.js";

export type Pasted =
  | { kind: "address"; state: string; parameters: ReadonlyMap<string, string> }
  | { kind: "completion_code"; code: string }
  | { kind: "refused"; why: string };

const AROUND = /^["'`´‘’“”„«»‹›<>()[\]]+|["'`´‘’“”„«»‹›<>()[\],;]+$/g;

/**
 * The whole address of the page that did not load, or the relay's completion code.
 *
 * Forgiven are white space anywhere (line breaks of a terminal or a mail), quotes and brackets
 * around it, and in a completion code case, dashes and look-alikes. An address is refused unless
 * it has one state and one code and nothing twice.
 */
export function parsePaste(text: string): Pasted {
  const tidy = text.replace(/[\s\u200b\u2060\ufeff]+/g, "").replace(AROUND, "");
  const query = tidy.indexOf("?");
  if (query >= 0) return parseAddress(tidy.slice(query + 1).split("#")[0]!);
  const code = completionCode(tidy);
  if (code) return { kind: "completion_code", code };
  return { kind: "refused", why: "it is neither the address of the page nor a completion code" };
}

function parseAddress(query: string): Pasted {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    // Two of a kind: what was checked need not be what is used.
    if (parameters.has(name)) return { kind: "refused", why: "a parameter in it is doubled" };
    if (value.includes("\ufffd")) return { kind: "refused", why: "it is garbled" };
    parameters.set(name, value);
  }
  const state = parameters.get("state");
  if (!state) return { kind: "refused", why: "it has no state: copy the whole address" };
  const error = parameters.get("error");
  if (error !== undefined) {
    const why = `it carries an error of the identity provider (${printable(error)}), not a code`;
    return { kind: "refused", why };
  }
  if (!parameters.get("code")) {
    return { kind: "refused", why: "it has no code: copy the whole address" };
  }
  parameters.delete("state");
  return { kind: "address", state, parameters };
}

/** Crockford base32, `XXXX-XXXX`; O is read as 0, I and L as 1. */
function completionCode(text: string): string | undefined {
  const plain = text
    .toUpperCase()
    .replace(/[-\u2010-\u2015\u2212_.]/g, "")
    .replaceAll("O", "0")
    .replace(/[IL]/g, "1");
  return /^[0-9A-HJKMNP-TV-Z]{8}$/.test(plain)
    ? `${plain.slice(0, 4)}-${plain.slice(4)}`
    : undefined;
}
