/** The file in which opencode 1 keeps what MCP servers gave it, and reads it anew at each use. */

import { randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, realpath, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";

import { withLock } from "../opencode/lock.js";

/** As opencode names them; times in seconds since 1970. */
export interface Entry {
  tokens: {
    accessToken: string;
    refreshToken?: string | undefined;
    expiresAt?: number | undefined;
    scope?: string | undefined;
  };
  /** Left out where opencode's configuration names the client. */
  clientInfo?: {
    clientId: string;
    clientSecret?: string | undefined;
    clientIdIssuedAt?: number | undefined;
    clientSecretExpiresAt?: number | undefined;
  };
  serverUrl: string;
}

/** The file does not hold what opencode 1 writes there; the message names it. */
export class StoreError extends Error {}

/** Puts a server's entry in the place of what was there. Throws `StoreError`, or where opencode does not let go of the file. */
export async function store(name: string, entry: Entry): Promise<void> {
  await mkdir(dirname(file()), { recursive: true });
  await change((all) => ({ ...all, [name]: entry }));
}

/** Names of entries that are of another server than the one of that name. */
export async function ofOthers(urls: ReadonlyMap<string, string>): Promise<readonly string[]> {
  // opencode writes it in place: half of it, to who does not wait until it is written.
  const all = await read(file()).catch(() => withLock(key(), () => read(file())));
  return [...urls].filter(([name, url]) => isOfAnother(all, name, url)).map(([name]) => name);
}

/**
 * Removes the entries that are of another server than the one of that name: opencode takes their
 * address for outdated, and sends the one what the other gave. Throws as `store` does.
 */
export async function forget(urls: ReadonlyMap<string, string>): Promise<void> {
  await change((all) =>
    Object.fromEntries(
      Object.entries(all).filter(([name]) => !isOfAnother(all, name, urls.get(name))),
    ),
  );
}

function isOfAnother(all: Entries, name: string, url: string | undefined): boolean {
  if (url === undefined || !Object.hasOwn(all, name)) return false;
  const entry = (all[name] ?? {}) as Partial<Entry>;
  // Of a sign-in of opencode's own that is under way it has no address, and nothing to be sent.
  return Boolean(entry.tokens ?? entry.clientInfo) && entry.serverUrl !== url;
}

type Entries = Readonly<Record<string, unknown>>;

function file(): string {
  const data = process.env["XDG_DATA_HOME"] || join(homedir(), ".local/share");
  return join(data, "opencode/mcp-auth.json");
}

/** Of opencode's own lock. */
function key(): string {
  return `mcp-auth:${file()}`;
}

async function change(work: (all: Entries) => Entries): Promise<void> {
  await withLock(key(), async () => {
    // Its owner may keep it elsewhere, and a link here.
    const path = await realpath(file()).catch(() => file());
    const [folder, temporaries] = [dirname(path), `${basename(path)}.`];
    for (const name of await readdir(folder)) {
      // Of one that was killed: nobody else is writing now.
      const isLeft = name.startsWith(temporaries) && UUID.test(name.slice(temporaries.length));
      if (isLeft) await rm(join(folder, name), { force: true });
    }
    const all = work(await read(path));
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeFile(temporary, JSON.stringify(all, null, 2), { mode: 0o600, flag: "wx" });
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

async function read(path: string): Promise<Entries> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "{}";
    throw error;
  });
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch {
    all = undefined;
  }
  if (typeof all === "object" && all !== null && !Array.isArray(all)) {
    return all as Entries;
  }
  throw new StoreError(`${path} is not what opencode keeps MCP logins in: look at it, or remove it`);
}
