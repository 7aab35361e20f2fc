/** A login through the relay: what it knows, and what its end sets off. */

import type { Idp } from "../idp/provider.js";
import type { Result } from "../opencode/interface.js";
import { finish } from "../relay/collecting.js";
import { type Discovery, remember } from "../relay/discovery.js";
import type { LoginKeys } from "../relay/keys.js";
import type { OpenedLogin } from "../relay/opening.js";
import { type Context, liveLogins } from "./logins.js";
import { OAuthLogin } from "./oauth-login.js";
import type { Target } from "./target.js";

export interface Secrets {
  /** Proves to the relay that the login is ours. */
  readonly collectVerifier: string;
  readonly keys: LoginKeys;
}

export class RelayLogin extends OAuthLogin {
  /** For a completion code, as far as the relay has said. */
  triesLeft: number | undefined;
  #opened: OpenedLogin | undefined;
  #secrets: Secrets | undefined;

  /** `lifetime` in seconds, of a login that the relay has not opened yet. */
  constructor(
    context: Context,
    target: Target,
    readonly discovery: Discovery,
    idp: Idp,
    redirectUri: string,
    secrets: Secrets,
    lifetime = 0,
  ) {
    super(context, target, idp, redirectUri, lifetime);
    this.#secrets = secrets;
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

  override get state(): string | undefined {
    return this.#opened?.state;
  }

  /** Throws once the login is over: its keys are forgotten then. */
  get secrets(): Secrets {
    if (!this.#secrets) throw new Error("the login is over");
    return this.#secrets;
  }

  override get byCode(): boolean {
    return this.#opened?.confirmation === "completion_code";
  }

  override end(result: Result): void {
    const secrets = this.#secrets;
    this.#secrets = undefined;
    if (result.type === "success") remember(this.discovery);
    // Nothing more can come by way of the relay.
    if (secrets && this.#opened) void finish(this.#opened, secrets.collectVerifier);
    super.end(result);
  }
}

export function relayLogins(): RelayLogin[] {
  return liveLogins().filter((login) => login instanceof RelayLogin);
}
