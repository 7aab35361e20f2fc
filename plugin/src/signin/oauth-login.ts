/** A login that an authorization code ends (RFC 6749 with RFC 7636). */

import { type Idp, authorizationUrl } from "../idp/provider.js";
import type { Result } from "../opencode/interface.js";
import { type Context, Login, liveLogins } from "./logins.js";
import type { Target } from "./target.js";
import { challenge, randomText } from "./verifiers.js";

export const NOT_IN_TIME = "the sign-in was not finished in time: begin again";

export abstract class OAuthLogin extends Login {
  readonly resumeToken = randomText();
  /** Milliseconds since 1970. */
  deadline: number;
  #verifier: string | undefined = randomText();

  /** `lifetime` in seconds. */
  constructor(
    context: Context,
    readonly target: Target,
    readonly idp: Idp,
    readonly redirectUri: string,
    lifetime: number,
  ) {
    super(context, target.provider, target.account);
    this.deadline = Date.now() + lifetime * 1000;
  }

  /** Nothing while it is not known. */
  abstract get state(): string | undefined;

  /** True where the person types or pastes something into opencode. */
  abstract get byCode(): boolean;

  /** PKCE's. Throws once the login is over: it is forgotten then. */
  get verifier(): string {
    if (!this.#verifier) throw new Error("the login is over");
    return this.#verifier;
  }

  /** Where the person signs in. Throws once the login is over. */
  get url(): string {
    return authorizationUrl(this.idp, {
      redirectUri: this.redirectUri,
      state: this.state ?? "",
      challenge: challenge(this.verifier),
    });
  }

  override end(result: Result): void {
    if (!this.isOver && this.state !== undefined) {
      const why = result.type === "success" ? "its sign-in was finished before" : this.why;
      ended.unshift({ state: challenge(this.state), why: why ?? "its sign-in is over" });
      ended.splice(ENDED);
    }
    this.#verifier = undefined;
    super.end(result);
  }

  /** Ends the login when its time is over. */
  async watch(): Promise<void> {
    while (!this.isOver && Date.now() < this.deadline) {
      await this.pause((this.deadline - Date.now()) / 1000);
    }
    this.fail(NOT_IN_TIME);
  }
}

/** The last logins that ended, so that what comes for one too late is told why. */
const ended: { state: string; why: string }[] = [];
const ENDED = 100;

/** Why the login of this state is over, if it was one of ours. */
export function whyOver(state: string): string | undefined {
  return ended.find((one) => one.state === challenge(state))?.why;
}

/** Those of this provider's dialog in which something is typed or pasted. */
export function typedLogins(provider: string): OAuthLogin[] {
  return liveLogins()
    .filter((login) => login instanceof OAuthLogin)
    .filter((login) => login.byCode && login.provider === provider);
}
