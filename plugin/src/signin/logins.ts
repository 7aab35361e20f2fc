/**
 * The logins under way, at module level: opencode makes the plugin anew whenever it disposes an
 * instance, and a login must outlive that.
 */

import { setTimeout as sleep } from "node:timers/promises";

import type { Client, Result } from "../opencode/interface.js";
import type { Log } from "../opencode/log.js";

/** Where a login was begun. */
export interface Context {
  readonly client: Client;
  readonly directory: string;
  readonly log: Log;
}

const live = new Set<Login>();

export function liveLogins(): readonly Login[] {
  return [...live];
}

export class Login {
  /** This login's own end. */
  readonly ended: Promise<Result>;
  /**
   * What opencode is told: the login's own end, or success as soon as another of the same account's
   * does. opencode remembers one login a provider, so with two people signing in there it waits on
   * the second one's answer for both.
   */
  readonly answered: Promise<Result>;
  /** Why it failed, once it did and said so. */
  protected why: string | undefined;
  readonly #over = new AbortController();
  #end!: (result: Result) => void;
  #answer!: (result: Result) => void;
  #turn: Promise<unknown> = Promise.resolve();
  #hurry = new AbortController();

  constructor(
    readonly context: Context,
    /** The provider of opencode's list in whose dialog it was begun. */
    readonly provider: string,
    /** Which of that provider's accounts, where it has several. */
    readonly account = "",
  ) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.answered = new Promise((resolve) => (this.#answer = resolve));
    live.add(this);
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Aborted when the login is over. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Ends the login, once. */
  end(result: Result): void {
    if (this.isOver) return;
    live.delete(this);
    this.#over.abort();
    this.#end(result);
    this.#answer(result);
    if (result.type !== "success") return;
    for (const other of live) {
      const isSame = other.provider === this.provider && other.account === this.account;
      if (isSame) other.#answer(result);
    }
  }

  /** Ends the login as failed, and says why in the log. */
  fail(why: string): void {
    if (this.isOver) return;
    this.why = why;
    this.context.log("warn", why);
    this.end({ type: "failed" });
  }

  /** Runs `work` when earlier ones are done: of two codes at once, one is redeemed. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => undefined);
    return run;
  }

  /** Waits, but no longer than the login lives, and not when it is told to hurry. */
  async pause(seconds: number): Promise<void> {
    const signal = AbortSignal.any([this.over, this.#hurry.signal]);
    await sleep(Math.min(seconds, 60) * 1000, undefined, { signal }).catch(() => undefined);
    if (this.#hurry.signal.aborted) this.#hurry = new AbortController();
  }

  /** Ends the pause under way, or else the next: what is waited for has come. */
  hurry(): void {
    this.#hurry.abort();
  }
}
