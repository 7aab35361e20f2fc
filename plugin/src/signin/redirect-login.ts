/** A login whose response comes back with the browser, to this opencode's own address. */

import type { Idp } from "../idp/provider.js";
import type { Result } from "../opencode/interface.js";
import { finish } from "../relay/collecting.js";
import type { Discovery } from "../relay/discovery.js";
import type { OpenedLogin } from "../relay/opening.js";
import { AUTO } from "../settings.js";
import type { Context } from "./logins.js";
import { NOT_IN_TIME } from "./oauth-login.js";
import { RelayLogin, type Secrets, relayLogins } from "./relay-login.js";
import type { Target } from "./target.js";
import { challenge, randomText, sameText } from "./verifiers.js";

export const START = "/auth/start";
export const CALLBACK = "/auth/callback";

/** Opens the login at the relay, with the return URL. Throws `RelayError`. */
export type Opener = (returnUrl: string) => Promise<OpenedLogin>;

export class RedirectLogin extends RelayLogin {
  /** Whoever has it was let in by opencode's password, or was sent the link by such a person. */
  readonly #ticket = randomText();
  readonly #opener: Opener;
  /** SHA-256 of the cookie of the one browser that this login belongs to. */
  #browser: string | undefined;
  #opening: Promise<void> | undefined;
  #origin: string | undefined;

  constructor(
    context: Context,
    target: Target,
    discovery: Discovery,
    idp: Idp,
    redirectUri: string,
    secrets: Secrets,
    opener: Opener,
    /** An origin, or `auto`: then it is that of the request which begins the login. */
    readonly publicUrl: string,
  ) {
    super(context, target, discovery, idp, redirectUri, secrets, discovery.loginLifetime);
    this.#opener = opener;
  }

  /** The link that opencode shows: root-relative where the address is not known yet. */
  get link(): string {
    return `${this.publicUrl === AUTO ? "" : this.publicUrl}${START}?ticket=${this.#ticket}`;
  }

  /** Where the browser began, once it did. */
  get origin(): string | undefined {
    return this.#origin;
  }

  isFor(ticket: string): boolean {
    return sameText(this.#ticket, ticket);
  }

  /** The link's proof that this browser was shown whom it is about to sign in. */
  consent(browser: string): string {
    return challenge(`${this.#ticket} ${browser}`);
  }

  get isTaken(): boolean {
    return this.#browser !== undefined;
  }

  belongsTo(browser: string | undefined): boolean {
    return (
      browser !== undefined &&
      this.#browser !== undefined &&
      sameText(this.#browser, challenge(browser))
    );
  }

  /**
   * Begins the login in a browser, and returns where that is to go: to the identity provider.
   * Throws `RelayError`; the login is then free again. Only for a browser that may have it.
   */
  async begin(browser: string, origin: string): Promise<string> {
    this.#browser = challenge(browser);
    this.#origin = origin;
    try {
      await this.open(origin);
    } catch (error) {
      this.#browser = undefined;
      throw error;
    }
    return this.url;
  }

  /** Opens the login at the relay, once. Throws `RelayError`. */
  open(origin: string): Promise<void> {
    this.#opening ??= this.#open(origin).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(origin: string): Promise<void> {
    const { collectVerifier } = this.secrets;
    const opened = await this.#opener(origin + CALLBACK);
    if (this.isOver) return void finish(opened, collectVerifier);
    this.opens(opened);
  }

  /** Remembers, for a reload, how it went: to this browser it can be said again. */
  override end(result: Result): void {
    if (!this.isOver && this.isTaken) {
      const now = Date.now();
      const kept = past.filter(({ until }) => now < until);
      const { thumbprint } = this.secrets.keys;
      const until = now + this.discovery.loginLifetime * 1000;
      past = [...kept.slice(-99), { login: this, thumbprint, until, type: result.type }];
    }
    super.end(result);
  }

  /** True if it ended because it took too long. */
  get wasLate(): boolean {
    return this.why === NOT_IN_TIME;
  }
}

interface Past {
  readonly login: RedirectLogin;
  readonly thumbprint: string;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly type: Result["type"];
}

let past: readonly Past[] = [];

/** A login that is over, to whose key a response is sealed, as far as this browser may know. */
export function pastLogin(thumbprint: string, browser: string | undefined): Past | undefined {
  return past.find(
    (one) =>
      one.thumbprint === thumbprint && Date.now() < one.until && one.login.belongsTo(browser),
  );
}

export function redirectLogins(): RedirectLogin[] {
  return relayLogins().filter((login) => login instanceof RedirectLogin);
}
