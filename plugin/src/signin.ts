/** Signing in through the relay, from opening the login to the stored account. */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { hostname } from "node:os";

import { noticeDisconnect, storeAccount } from "./accounts.js";
import { printable } from "./http.js";
import { type Idp, LOOPBACK_REDIRECT_URI, authorizationUrl, findIdp, redeem } from "./idp.js";
import { type Context, Login, liveLogins } from "./logins.js";
import type { Authorization, Result } from "./opencode.js";
import { parsePaste } from "./paste.js";
import * as relay from "./relay.js";
import {
  KeysUnavailable,
  type LoginKeys,
  ResponseRefused,
  makeKeys,
  openResponse,
} from "./sealed.js";
import { OPENAI_ISSUER, type Settings } from "./settings.js";

const FAILED: Result = { type: "failed" };
const OVER: Readonly<Record<string, string>> = {
  "login-declined": "the sign-in was declined on the relay's page",
  "login-expired": "the sign-in was not finished in time: begin again",
  "login-cancelled": "the relay cancelled the login: begin again",
  "login-not-found": "the relay no longer knows the login: begin again",
};

interface Secrets {
  /** Proves to the relay that the login is ours; PKCE's proves it to the identity provider. */
  readonly collectVerifier: string;
  readonly pkceVerifier: string;
  readonly keys: LoginKeys;
}

class RelayLogin extends Login {
  readonly resumeToken = randomText();
  readonly deadline: number;
  #secrets: Secrets | undefined;

  constructor(
    context: Context,
    readonly discovery: relay.Discovery,
    readonly opened: relay.OpenedLogin,
    readonly idp: Idp,
    readonly redirectUri: string,
    secrets: Secrets,
  ) {
    super(context);
    this.#secrets = secrets;
    this.deadline = Date.now() + opened.expiresIn * 1000;
  }

  /** Throws once the login is over: its keys are forgotten then. */
  get secrets(): Secrets {
    if (!this.#secrets) throw new Error("the login is over");
    return this.#secrets;
  }

  /** True where the person types or pastes something into opencode. */
  get byCode(): boolean {
    return this.opened.confirmation === "completion_code";
  }

  override end(result: Result): void {
    const secrets = this.#secrets;
    this.#secrets = undefined;
    // Nothing more can come by way of the relay.
    if (secrets) void relay.finish(this.opened, secrets.collectVerifier);
    super.end(result);
  }
}

/** Opens a login and begins to collect. Throws an error whose message says what is wrong. */
export async function relaySignIn(context: Context, settings: Settings): Promise<Authorization> {
  await noticeDisconnect(context.log);
  const [discovery, idp, key] = await Promise.all([
    relay.discover(settings.relay()),
    findIdp(settings),
    settings.key(),
  ]);
  const registered = isRegistered(discovery, settings);
  const secrets = {
    collectVerifier: randomText(),
    pkceVerifier: randomText(),
    keys: await makeKeys(),
  };
  const opened = await relay.open(discovery, key, {
    collect_challenge: challenge(secrets.collectVerifier),
    encryption_key: secrets.keys.publicKey,
    // opencode can show a pairing code or take an input, not both, and what is pasted needs one.
    ...(registered ? {} : { confirmation: "completion_code" }),
    name: `opencode on ${hostname().replace(/[^\w.-]+/g, "-") || "a server"}`.slice(0, 64),
    provider: providerName(settings),
    ...(idp.sendsIss ? { idp_issuer: idp.issuer } : {}),
  });
  const redirectUri = registered ? discovery.redirectUri : LOOPBACK_REDIRECT_URI;
  const login = new RelayLogin(context, discovery, opened, idp, redirectUri, secrets);
  void collect(login);
  return authorization(login);
}

/** True if the relay's own redirect URI is registered at the identity provider. */
export function isRegistered(discovery: relay.Discovery, settings: Settings): boolean {
  return discovery.registeredClients.some(
    (client) => client.issuer === settings.issuer && client.clientId === settings.clientId,
  );
}

export function providerName({ issuer }: Settings): string {
  return issuer === OPENAI_ISSUER ? "ChatGPT" : new URL(issuer).host.slice(0, 40);
}

/** The token with which the newest login that waits for an input in `directory` is taken up. */
export function resumable(directory: string): string | undefined {
  return relayLogins().findLast((login) => login.byCode && login.context.directory === directory)
    ?.resumeToken;
}

/** The same login once more, for an opencode that has forgotten it. */
export function resume(token: string): Authorization | undefined {
  const login = relayLogins().find((candidate) => sameText(candidate.resumeToken, token));
  return login && authorization(login);
}

function authorization(login: RelayLogin): Authorization {
  const url = authorizationUrl(login.idp, {
    redirectUri: login.redirectUri,
    state: login.opened.state,
    challenge: challenge(login.secrets.pkceVerifier),
  });
  if (login.byCode) {
    return {
      url,
      method: "code",
      instructions:
        "Sign in, then paste the whole address of the page that did not load, or the code that " +
        "the relay's page shows",
      callback: (text) => entered(login, text),
    };
  }
  return {
    url,
    method: "auto",
    // opencode's page shows what follows the last colon, and lets it be copied.
    instructions: `Sign in, and where the relay asks for it enter the code below: ${login.opened.pairingCode}`,
    callback: () => login.answered,
  };
}

/** Asks for the response until the login is over, by whatever way. */
async function collect(login: RelayLogin): Promise<void> {
  const { discovery, opened, context } = login;
  let troubles = 0;
  while (!login.isOver) {
    if (Date.now() > login.deadline) return login.fail(OVER["login-expired"]!);
    const { collectVerifier } = login.secrets;
    const got = await relay.collect(discovery, opened, collectVerifier, opened.maxWait, login.over);
    await noticeDisconnect(context.log);
    if (login.isOver) return;
    if (got.status === "over") {
      return login.fail(OVER[got.slug] ?? `the relay ended the login (${printable(got.slug)})`);
    }
    if (got.status === "pending" || got.status === "held") {
      troubles = 0;
      await login.pause(got.retryAfter);
      continue;
    }
    let why: string;
    if (got.status === "unreachable") {
      why = got.why;
    } else {
      try {
        return await received(login, got.response);
      } catch (error) {
        if (!(error instanceof KeysUnavailable)) return login.fail((error as Error).message);
        why = error.message;
      }
    }
    if (troubles === 0) context.log("warn", `waiting for ${discovery.issuer} (${why})`);
    const asked = got.status === "unreachable" ? got.retryAfter : undefined;
    await login.pause(asked ?? backOff(troubles));
    troubles += 1;
  }
}

/** Seconds: 1, 2, 4, 8, less up to a half. No more, for a code may live for a minute only. */
function backOff(troubles: number): number {
  return Math.min(2 ** troubles, 8) * (1 - Math.random() / 2);
}

/** What the relay released. Throws `KeysUnavailable`, or an error that says why it is refused. */
async function received(login: RelayLogin, sealed: string): Promise<void> {
  const { discovery, opened, secrets, idp } = login;
  const keys = relay.signingKeys(discovery);
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
  const error = parameters.get("error");
  if (error) {
    const more = printable(parameters.get("error_description"));
    throw new Error(`${idp.issuer} answered ${printable(error)}${more ? ` (${more})` : ""}`);
  }
  await redeemCode(login, parameters.get("code"));
}

/** What the person typed or pasted. A refusal leaves opencode's form open for another try. */
async function entered(login: RelayLogin, text: string): Promise<Result> {
  const { log } = login.context;
  await noticeDisconnect(log);
  const pasted = parsePaste(text);
  if (pasted.kind === "refused") {
    log("warn", `what was pasted is refused: ${pasted.why}`);
    return FAILED;
  }
  if (pasted.kind === "completion_code") return await completed(login, pasted.code);
  // opencode remembers one login a provider: the paste may belong to another person's.
  const owner = relayLogins().find(
    (other) => other.byCode && sameText(other.opened.state, pasted.state),
  );
  if (!owner) {
    log("warn", "the pasted address is refused: its state is of no login under way here");
    return FAILED;
  }
  if (!issFits(owner.idp, pasted.parameters)) {
    log("warn", `the pasted address is refused: it is not from ${owner.idp.issuer} (iss)`);
    return FAILED;
  }
  try {
    await redeemCode(owner, pasted.parameters.get("code"));
  } catch (error) {
    log("warn", `the pasted address did not work: ${(error as Error).message}`);
    return FAILED;
  }
  return await owner.ended;
}

async function completed(login: RelayLogin, code: string): Promise<Result> {
  const { log } = login.context;
  const byCode = relayLogins().filter((other) => other.byCode);
  let why = "no login waits for a completion code";
  // The form's own login first: a wrong try is counted against each login it is tried on.
  for (const other of [login, ...byCode.filter((candidate) => candidate !== login)]) {
    if (other.isOver) continue;
    const { collectVerifier } = other.secrets;
    const { status } = await relay.collect(
      other.discovery,
      other.opened,
      collectVerifier,
      0,
      other.over,
    );
    if (status !== "held" || other.isOver) continue;
    try {
      const { released, triesLeft } = await relay.complete(other.opened, collectVerifier, code);
      if (released) return await other.ended;
      why = `it is wrong${triesLeft === undefined ? "" : `, ${triesLeft} tries left`}`;
    } catch (error) {
      why = `the relay cannot be reached (${(error as Error).message})`;
    }
  }
  log("warn", `the completion code is refused: ${why}`);
  return FAILED;
}

/** Redeems a code and stores the account. Throws an error that says why not. */
function redeemCode(login: RelayLogin, code: string | undefined): Promise<void> {
  return login.exclusively(async () => {
    if (login.isOver) return; // the other way was quicker
    if (!code) throw new Error("the response carries no code");
    const { idp, redirectUri, secrets } = login;
    const grant = { code, redirectUri, verifier: secrets.pkceVerifier };
    await storeAccount(login, await redeem(idp.tokenEndpoint, idp.clientId, grant));
  });
}

/** RFC 9207: where the provider is known to send `iss` it must be there, and is never another. */
function issFits(idp: Idp, parameters: ReadonlyMap<string, string>): boolean {
  const iss = parameters.get("iss");
  return iss === undefined ? !idp.sendsIss : iss === idp.issuer;
}

function relayLogins(): RelayLogin[] {
  return liveLogins().filter((login) => login instanceof RelayLogin);
}

/** 256 random bits, as PKCE and the relay want a verifier (43 characters). */
function randomText(): string {
  return randomBytes(32).toString("base64url");
}

function challenge(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}

/** Takes the same time wherever two texts differ. */
function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
