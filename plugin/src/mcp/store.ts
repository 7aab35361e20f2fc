/** The file in which opencode 1 keeps what MCP servers gave it, and reads it anew at each use. */

import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

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
  const data = process.env["XDG_DATA_HOME"] || join(homedir(), ".local/share");
  const path = join(data, "opencode/mcp-auth.json");
  await mkdir(dirname(path), { recursive: true });
  await withLock(`mcp-auth:${path}`, async () => {
    const all = { ...(await read(path)), [name]: entry };
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeFile(temporary, JSON.stringify(all, null, 2), { mode: 0o600, flag: "wx" });
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

async function read(path: string): Promise<Record<string, unknown>> {
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
    return all as Record<string, unknown>;
  }
  throw new StoreError(`${path} is not what opencode keeps MCP logins in: look at it, or remove it`);
}
