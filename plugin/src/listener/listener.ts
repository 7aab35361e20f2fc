/**
 * The plugin's own small HTTP server: opencode cannot be given a route, so the reverse proxy sends
 * it two paths of opencode's public address.
 */

import { access, chmod, constants, lstat, rm } from "node:fs/promises";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { connect } from "node:net";

import type { Log } from "../opencode/log.js";
import type { Address, Settings } from "../settings.js";
import { CALLBACK, START } from "../signin/redirect-login.js";
import { callback } from "./callback.js";
import { fields } from "./fields.js";
import type { Answer } from "./page.js";
import * as pages from "./pages.js";
import { start } from "./start.js";
import { isEarly, visitOf } from "./visit.js";

const ROUTES = new Map([
  [START, start],
  [CALLBACK, callback],
]);

/** The address cannot be listened on; the message says why and what to set. */
export class ListenError extends Error {}

// At module level: the listener outlives the instances that opencode makes and disposes.
const listeners = new Map<string, Promise<void>>();
let log: Log = () => undefined;
let warned = false;

/** Milliseconds from the beginning of a connection to the end of a request's head. */
const DEADLINE = 15_000;

/** Listens, once a process. Throws `ListenError`; then the next call tries again. */
export function listening(address: Address, logTo: Log, deadline = DEADLINE): Promise<void> {
  log = logTo;
  const name = nameOf(address);
  let one = listeners.get(name);
  if (!one) {
    one = listen(address, deadline).catch((error: NodeJS.ErrnoException) => {
      listeners.delete(name);
      throw new ListenError(cannotListen(name, error.code));
    });
    listeners.set(name, one);
  }
  return one;
}

/** Why the plugin cannot be reached by a browser, if it cannot. Throws `SettingsError`. */
export async function whyNoListener(settings: Settings, log: Log): Promise<string | undefined> {
  return await listening(settings.listen(), log).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

async function listen(address: Address, deadline: number): Promise<void> {
  try {
    await bind(address, deadline);
  } catch (error) {
    if (!("path" in address) || !(await isLeftOver(address.path))) throw error;
    await rm(address.path, { force: true });
    await bind(address, deadline);
  }
  // As open as a port of the loopback: who may reach it is a matter of the folder.
  if ("path" in address) await chmod(address.path, 0o666);
}

async function bind(address: Address, deadline: number): Promise<void> {
  // These are for Node: Bun (1.3) knows none of them, and ends what has sent no whole head after 12 s.
  const bounds = {
    headersTimeout: deadline,
    requestTimeout: deadline,
    connectionsCheckingInterval: deadline / 15,
  };
  const server = createServer({ maxHeaderSize: 16_384, ...bounds }, (request, answer) => {
    void serve(request, answer);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, resolve);
  });
  server.on("error", () => undefined);
  server.unref(); // it must not keep a process alive that has done its work
}

/** True for a socket that a process which is gone left behind. */
async function isLeftOver(path: string): Promise<boolean> {
  try {
    if (!(await lstat(path)).isSocket()) return false;
    await access(path, constants.W_OK);
  } catch {
    return false;
  }
  return await new Promise((resolve) => {
    const client = connect(path);
    client.once("connect", () => {
      client.destroy();
      resolve(false);
    });
    // Bun (1.3) calls it ENOENT, as it does what may not be written to, hence the look above.
    client.once("error", ({ code }: NodeJS.ErrnoException) =>
      resolve(code === "ECONNREFUSED" || code === "ENOENT"),
    );
  });
}

async function serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
  const visit = visitOf(request);
  const route = ROUTES.get(visit.path);
  let result: Answer;
  if (!route) {
    result = pages.refusal("notFound");
  } else if (request.method !== "GET") {
    result = pages.refusal("notAllowed", undefined, { allow: "GET" });
  } else if (isEarly(request)) {
    result = pages.refusal("prefetch", undefined, { "retry-after": "1" });
  } else if (visit.isDoubled) {
    result = pages.refusal("doubled");
  } else {
    try {
      result = await route(visit);
    } catch {
      log("error", "a page could not be made");
      result = pages.refusal("failed");
    }
  }
  const https = visit.origin?.startsWith("https:");
  answer.writeHead(result.status, {
    ...EVERYWHERE,
    ...(https ? HSTS : {}),
    ...marks(request),
    ...result.headers,
  });
  // One request a connection, and no body is read: Bun would wait for the end of one, or for the
  // next request, as long as it takes, whatever the headers say.
  answer.end(request.method === "HEAD" ? undefined : result.body, () => request.socket.destroy());
}

const EVERYWHERE = {
  connection: "close",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};
// Short: how long a host keeps to https is for whoever runs it to say.
const HSTS = { "strict-transport-security": "max-age=600" };

/** For `opencode-relay doctor`: that the path leads here, as all but two should not, and what the proxy should have kept. */
function marks(request: IncomingMessage): Record<string, string> {
  if (!fields(request, "authorization").length) return { "opencode-relay": "instance" };
  if (!warned) {
    warned = true;
    log(
      "warn",
      "the reverse proxy passes on Authorization, with opencode's password in it: let it strip " +
        `that header on ${START} and ${CALLBACK}`,
    );
  }
  return { "opencode-relay": "instance", "opencode-relay-authorization": "present" };
}

function nameOf(address: Address): string {
  return "path" in address ? `unix:${address.path}` : `${address.host}:${address.port}`;
}

function cannotListen(name: string, code = "unknown error"): string {
  const set = 'set "listen" or OPENCODE_RELAY_LISTEN, and the reverse proxy, to another address';
  return code === "EADDRINUSE"
    ? `${name} is in use, perhaps by another opencode: if not, ${set}`
    : `${name} cannot be listened on (${code}): ${set}`;
}
