/** A login through the relay: what it knows, and what ends it. */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

import { storeAccount } from "./accounts.js";
import { type Idp, redeem } from "../idp/provider.js";
import { type Context, Login, liveLogins } from "./logins.js";
import type { Result } from "../opencode/interface.js";
import { type Discovery, type OpenedLogin, finish, remember, signingKeys } from "../relay/discovery.js";
import { type LoginKeys, ResponseRefused, openResponse } from "../relay/sealed.js";

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
    if (result.type === "success") remember(this.discovery);
    // Nothing more can come by way of the relay.
    if (secrets && this.#opened) void finish(this.#opened, secrets.collectVerifier);
    super.end(result);
  }
}

export function relayLogins(): RelayLogin[] {
  return liveLogins().filter((login) => login instanceof RelayLogin);
}

/**
 * Opens a sealed response with every check, and returns the callback's parameters. Throws
 * `KeysUnavailable`, or an error that says why it is refused.
 */
export async function verify(
  { discovery, opened, secrets, idp }: RelayLogin,
  sealed: string,
): Promise<ReadonlyMap<string, string>> {
  const keys = signingKeys(discovery);
  let parameters: ReadonlyMap<string, string>;
  try {
    parameters = await openResponse(sealed, secrets.keys, keys, discovery.issuer, opened.loginId);
  } catch (error) {
    if (!(error instanceof ResponseRefused)) throw error;
    throw new Error(`the relay's response is refused: ${error.message}`);
  }
  if (!issFits(idp, parameters)) {
    throw new Error(`the response is not from ${idp.issuer}: its iss is missing or another`);
  }
  return parameters;
}

/** Redeems a code and stores the account. Throws an error that says why not. */
export function redeemCode(login: RelayLogin, code: string | undefined): Promise<void> {
  return login.exclusively(async () => {
    if (login.isOver) return; // the other way was quicker
    if (!code) throw new Error("the response carries no code");
    const { idp, redirectUri, secrets } = login;
    const grant = { code, redirectUri, verifier: secrets.pkceVerifier };
    await storeAccount(login, await redeem(idp.tokenEndpoint, idp.clientId, grant));
  });
}

/** RFC 9207: where the provider is known to send `iss` it must be there, and is never another. */
export function issFits(idp: Idp, parameters: ReadonlyMap<string, string>): boolean {
  const iss = parameters.get("iss");
  return iss === undefined ? !idp.sendsIss : iss === idp.issuer;
}

/** 256 random bits, as PKCE and the relay want a verifier (43 characters). */
export function randomText(): string {
  return randomBytes(32).toString("base64url");
}

/** The S256 challenge of a verifier (RFC 7636). */
export function challenge(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}

/** Takes the same time wherever two texts differ. */
export function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
