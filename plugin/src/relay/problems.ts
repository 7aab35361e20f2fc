/** What the relay refuses, and why it cannot be asked, in words that say what to do about it. */

import { type Answer, Unreachable, printable } from "../http.js";

/** The relay refuses, or is not one this plugin can use; the message says what to do about it. */
export class RelayError extends Error {
  constructor(
    message: string,
    /** The message in a few words, for a label. */
    readonly short: string,
    /** What the relay calls the problem, where it named one. */
    readonly slug?: string,
    /** What the relay's operator can run against it. */
    readonly command?: string,
  ) {
    super(message);
  }
}

/** The slug of an RFC 9457 problem that the service at `issuer` wrote, else nothing. */
export function problemSlug(issuer: string, answer: Answer): string | undefined {
  const type = answer.body["type"];
  const prefix = `${issuer}/problems/`;
  return typeof type === "string" && type.startsWith(prefix)
    ? type.slice(prefix.length)
    : undefined;
}

export function unreachable(relay: string, error: unknown): RelayError {
  const why = error instanceof Unreachable ? error.message : "the request failed";
  return new RelayError(
    `${relay} cannot be reached (${why}): does \`opencode-relay serve\` run there? Check the option ` +
      '"relay", and HTTPS_PROXY, NO_PROXY and NODE_EXTRA_CA_CERTS where a proxy or an own certificate authority is used',
    "relay unreachable",
  );
}

/** A login that was not opened. */
export function openRefused(
  relay: string,
  key: string | undefined,
  returnUrl: string | undefined,
  answer: Answer,
): RelayError {
  const slug = problemSlug(relay, answer);
  if (slug === "return-url-not-allowed") {
    // An instance key begins with the instance's id.
    const id = /^ocr_([0-9a-z]{12})_/.exec(key ?? "")?.[1] ?? "ID";
    const command = `opencode-relay instances update ${id} --return-url ${returnUrl}`;
    const why = `${relay} sends nobody back to ${returnUrl}`;
    return new RelayError(`${why}: its operator registers it with ${command}`, "return URL not registered", slug, command);
  }
  return new RelayError(whyRefused(relay, slug, answer), SHORT.get(slug ?? "") ?? "relay refuses", slug);
}

const SHORT: ReadonlyMap<string, string> = new Map([
  ["instance-key-required", "no key set"],
  ["instance-key-invalid", "key refused"],
]);

function whyRefused(relay: string, slug: string | undefined, answer: Answer): string {
  const set = '"key" or "keyFile" (OPENCODE_RELAY_KEY, OPENCODE_RELAY_KEY_FILE)';
  if (slug === "instance-key-required") return `${relay} wants an instance key: set ${set}`;
  if (slug === "instance-key-invalid") {
    return `${relay} does not accept the instance key: set ${set} to one that is enrolled there`;
  }
  if (answer.status === 429) {
    return `${relay} has had too many requests: try again in ${answer.retryAfter ?? 60} seconds`;
  }
  // In quotes: nobody is to take a stranger's words for the plugin's.
  const detail = slug ? `: it says ${JSON.stringify(printable(answer.body["detail"]))}` : "";
  return `${relay} does not open a login (status ${answer.status})${detail}`;
}
