/**
 * opencode's own locks between processes (1.18): a folder that one of them makes, with a file in it
 * that is touched as long as the lock is held.
 */

import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds after which a lock that nobody touched belongs to a process that is gone. */
const STALE = 60_000;
/** Milliseconds that a lock is waited for. */
const PATIENCE = 120_000;
const LOOK = 50;

/** Nobody else who asks for this key works meanwhile. Throws if the lock stays taken. */
export async function withLock<T>(key: string, work: () => Promise<T>): Promise<T> {
  const path = lockPath(key);
  const token = randomUUID();
  const deadline = Date.now() + PATIENCE;
  await mkdir(join(path, ".."), { recursive: true });
  while (!(await taken(path))) {
    if (Date.now() > deadline) throw new Error(`another opencode does not give back ${path}`);
    await sleep(LOOK);
  }
  const heartbeat = join(path, "heartbeat");
  const meta = join(path, "meta.json");
  await writeFile(heartbeat, "", { flag: "wx" });
  const holder = { token, pid: process.pid, hostname: hostname(), createdAt: new Date() };
  await writeFile(meta, JSON.stringify(holder), { flag: "wx" });
  const beating = setInterval(() => {
    const now = new Date();
    utimes(heartbeat, now, now).catch(() => undefined);
  }, STALE / 3);
  try {
    return await work();
  } finally {
    clearInterval(beating);
    // Somebody may have taken it for left behind, as after a machine has slept.
    const held = await readFile(meta, "utf8").catch(() => "");
    if (held.includes(token)) await rm(path, { recursive: true, force: true });
  }
}

export function lockPath(key: string): string {
  const state = process.env["XDG_STATE_HOME"] || join(homedir(), ".local", "state");
  const name = createHash("sha1").update(key).digest("hex");
  return join(state, "opencode", "locks", `${name}.lock`);
}

async function taken(path: string): Promise<boolean> {
  if (await made(path)) return true;
  if (!(await isStale(path))) return false;
  // Of two that find it left behind one breaks it.
  const breaker = `${path}.breaker`;
  if (!(await made(breaker))) {
    if (Date.now() - ((await touched(breaker)) ?? Date.now()) > STALE) {
      await rm(breaker, { recursive: true, force: true });
    }
    return false;
  }
  try {
    if (!(await isStale(path))) return false;
    await rm(path, { recursive: true, force: true });
    return await made(path);
  } finally {
    await rm(breaker, { recursive: true, force: true });
  }
}

async function made(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function isStale(path: string): Promise<boolean> {
  const last = (await touched(join(path, "heartbeat"))) ?? (await touched(path));
  return last !== undefined && Date.now() - last > STALE;
}

/** Milliseconds since 1970. */
async function touched(path: string): Promise<number | undefined> {
  return await stat(path).then(
    (found) => found.mtimeMs,
    () => undefined,
  );
}
