/** A login through the relay: what it knows, and what its end sets off. */

import type { Idp } from "../idp/provider.js";
import type { Result } from "../opencode/interface.js";
import { finish } from "../relay/collecting.js";
import { type Discovery, remember } from "../relay/discovery.js";
import type { LoginKeys } from "../relay/keys.js";
import type { OpenedLogin } from "../relay/opening.js";
import { type Context, Login, liveLogins } from "./logins.js";
import { challenge, randomText } from "./verifiers.js";

export const NOT_IN_TIME = "the sign-in was not finished in time: begin again";

export interface Secrets {
  /** Proves to the relay that the login is ours; PKCE's proves it to the identity provider. */
  readonly collectVerifier: string;
  readonly pkceVerifier: string;
  readonly keys: LoginKeys;
}

export class RelayLogin extends Login {
  readonly resumeToken = randomText();
  /** Milliseconds since 1970. */
  deadline: number;
  #opened: OpenedLogin | undefined;
  #secrets: Secrets | undefined;

  /** `lifetime` in seconds, of a login that the relay has not opened yet. */
  constructor(
    context: Context,
    readonly discovery: Discovery,
    readonly idp: Idp,
    readonly redirectUri: string,
    secrets: Secrets,
    lifetime = 0,
  ) {
    super(context);
    this.#secrets = secrets;
    this.deadline = Date.now() + lifetime * 1000;
  }

  /** Throws while the relay has not opened it. */
  get opened(): OpenedLogin {
    if (!this.#opened) throw new Error("the login is not opened yet");
    return this.#opened;
  }

  get isOpened(): boolean {
    return this.#opened !== undefined;
  }

  opens(opened: OpenedLogin): this {
    this.#opened = opened;
    this.deadline = Date.now() + opened.expiresIn * 1000;
    return this;
  }

  /** Throws once the login is over: its keys are forgotten then. */
  get secrets(): Secrets {
    if (!this.#secrets) throw new Error("the login is over");
    return this.#secrets;
  }

  /** True where the person types or pastes something into opencode. */
  get byCode(): boolean {
    return this.#opened?.confirmation === "completion_code";
  }

  override end(result: Result): void {
    const secrets = this.#secrets;
    this.#secrets = undefined;
    if (secrets && this.#opened) {
      const why = result.type === "success" ? "its sign-in was finished before" : this.why;
      ended.unshift({ state: challenge(this.#opened.state), why: why ?? "its sign-in is over" });
      ended.splice(ENDED);
    }
    if (result.type === "success") remember(this.discovery);
    // Nothing more can come by way of the relay.
    if (secrets && this.#opened) void finish(this.#opened, secrets.collectVerifier);
    super.end(result);
  }
}

/** The last logins that ended, so that what comes for one too late is told why. */
const ended: { state: string; why: string }[] = [];
const ENDED = 100;

/** Why the login of this state is over, if it was one of ours. */
export function whyOver(state: string): string | undefined {
  return ended.find((one) => one.state === challenge(state))?.why;
}

export function relayLogins(): RelayLogin[] {
  return liveLogins().filter((login) => login instanceof RelayLogin);
}
