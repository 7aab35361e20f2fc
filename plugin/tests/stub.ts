/** A small relay and identity provider for the tests: real HTTP, real signing and sealing. */

import { createHash, randomBytes } from "node:crypto";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import {
  CompactEncrypt,
  type CryptoKey,
  type JWK,
  SignJWT,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
} from "jose";

import { keyOf } from "./keys.js";

export interface StubLogin {
  id: string;
  state: string;
  body: Record<string, unknown>;
  status: "pending" | "held" | "released" | "declined" | "cancelled" | "finished";
  response?: string;
  tries: number;
}

export interface Seen {
  method: string;
  path: string;
  authorization: string | undefined;
  body: string;
}

export interface Change {
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  outer?: Record<string, unknown>;
  signWith?: CryptoKey;
  sealTo?: JWK;
}

type Handler = (seen: Seen, answer: ServerResponse) => boolean;

export const json = (answer: ServerResponse, status: number, body: unknown, headers = {}): void => {
  answer.writeHead(status, { "content-type": "application/json", ...headers });
  answer.end(status === 204 ? undefined : JSON.stringify(body));
};

export abstract class Server {
  readonly seen: Seen[] = [];
  /** Looked at first; true if it answered. */
  intercept: Handler | undefined;
  /** Milliseconds that its clock is behind. */
  behind = 0;
  readonly #server = createServer((request, answer) => void this.#take(request, answer));

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  count(method: string, path: RegExp): number {
    return this.seen.filter((one) => one.method === method && path.test(one.path)).length;
  }

  protected abstract answer(seen: Seen, answer: ServerResponse): void;

  async #take(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const seen = {
      method: request.method ?? "",
      path: request.url ?? "",
      authorization: request.headers.authorization,
      body,
    };
    this.seen.push(seen);
    answer.setHeader("date", new Date(Date.now() - this.behind).toUTCString());
    if (!this.intercept?.(seen, answer)) this.answer(seen, answer);
  }
}

export class StubRelay extends Server {
  readonly logins: StubLogin[] = [];
  registered: { issuer: string; client_id: string }[] = [];
  confirmation: "pairing_code" | "completion_code" = "pairing_code";
  key = keyOf("stub");
  returnUrls: string[] = [];
  redirectOffered = true;
  openEnrolment = false;
  discovery: Record<string, unknown> = {};
  expiresIn = 600;
  maxWait = 1;
  /** Seconds after which it wants to be asked again. */
  pace = "0";
  /** What the browser brings along when a completion code is right. */
  callback: Record<string, unknown> = { code: "code-by-relay" };
  #signing!: CryptoKey;
  #jwk!: JWK;

  override async start(): Promise<this> {
    await this.rotate("first");
    return await super.start();
  }

  async rotate(kid: string): Promise<void> {
    const pair = await generateKeyPair("ES256");
    this.#signing = pair.privateKey;
    this.#jwk = { ...(await exportJWK(pair.publicKey)), kid, alg: "ES256", use: "sig" };
  }

  /** The newest login. */
  get last(): StubLogin {
    return this.logins.at(-1)!;
  }

  /** Releases a login with the given callback parameters; `change` alters what is signed. */
  async release(
    login: StubLogin,
    params: Record<string, unknown>,
    change: Change = {},
  ): Promise<void> {
    login.response = await this.seal(login, params, change);
    login.status = "released";
  }

  /** The sealed response, which delivery `redirect` puts into the return URL. */
  async seal(
    login: StubLogin,
    params: Record<string, unknown>,
    change: Change = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: this.origin,
      aud: login.id,
      jti: login.id,
      iat: now,
      exp: now + 600,
      params,
      ...change.claims,
    };
    const jws = await new SignJWT(claims)
      .setProtectedHeader({
        alg: "ES256",
        kid: this.#jwk.kid!,
        typ: "login-response+jwt",
        ...change.header,
      })
      .sign(change.signWith ?? this.#signing);
    const to = change.sealTo ?? (login.body["encryption_key"] as JWK);
    const kid = await calculateJwkThumbprint(to);
    return await new CompactEncrypt(new TextEncoder().encode(jws))
      .setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM", cty: "JWT", kid, ...change.outer })
      .encrypt(await importJWK(to, "ECDH-ES"));
  }

  protected override answer(seen: Seen, answer: ServerResponse): void {
    const url = new URL(seen.path, this.origin);
    if (url.pathname === "/.well-known/opencode-relay") {
      return json(answer, 200, {
        protocol: 1,
        issuer: this.origin,
        redirect_uri: `${this.origin}/auth/callback`,
        logins_endpoint: `${this.origin}/v1/logins`,
        jwks_uri: `${this.origin}/.well-known/jwks.json`,
        deliveries_supported: ["poll", "redirect"],
        login_lifetime: this.expiresIn,
        confirmations_supported: ["pairing_code", "completion_code"],
        registered_clients: this.registered,
        ...this.discovery,
      });
    }
    if (url.pathname === "/.well-known/jwks.json") return json(answer, 200, { keys: [this.#jwk] });
    if (url.pathname === "/v1/logins") return this.#open(seen, answer);
    const [id, what] = url.pathname.slice("/v1/logins/".length).split("/");
    const login = this.logins.find((one) => one.id === id);
    const verifier = seen.authorization?.slice("Bearer ".length) ?? "";
    const digest = createHash("sha256").update(verifier).digest("base64url");
    if (!login || digest !== login.body["collect_challenge"]) {
      return seen.method === "DELETE"
        ? json(answer, 204, null)
        : this.problem(answer, 404, "login-not-found");
    }
    if (seen.method === "DELETE") {
      const redirect = login.body["delivery"] === "redirect";
      login.status = redirect || login.status === "released" ? "finished" : "cancelled";
      return json(answer, 204, null);
    }
    if (what === "completion") return this.#complete(login, seen, answer);
    switch (login.status) {
      case "released":
        return json(answer, 200, { status: "released", response: login.response });
      case "pending":
      case "held": {
        const { status } = login;
        setTimeout(() => json(answer, 202, { status }, { "retry-after": this.pace }), 20);
        return;
      }
      case "declined":
      case "cancelled":
        return this.problem(answer, 410, `login-${login.status}`);
      case "finished":
        return this.problem(answer, 404, "login-not-found");
    }
  }

  problem(answer: ServerResponse, status: number, slug: string, more = {}, headers = {}): void {
    const type = `${this.origin}/problems/${slug}`;
    json(answer, status, { type, title: slug, status, detail: `about ${slug}`, ...more }, headers);
  }

  #open(seen: Seen, answer: ServerResponse): void {
    if (!seen.authorization && !this.openEnrolment)
      return this.problem(answer, 401, "instance-key-required");
    if (seen.authorization && seen.authorization !== `Bearer ${this.key}`) {
      return this.problem(answer, 401, "instance-key-invalid");
    }
    const body = JSON.parse(seen.body) as Record<string, unknown>;
    if (!body["collect_challenge"]) return this.problem(answer, 400, "invalid-request");
    const redirect = body["delivery"] === "redirect";
    if (redirect && !this.redirectOffered) {
      return this.problem(answer, 403, "redirect-not-offered");
    }
    if (redirect && !this.returnUrls.includes(String(body["return_url"]))) {
      return this.problem(answer, 403, "return-url-not-allowed");
    }
    const id = randomBytes(16).toString("base64url");
    const state = `eyJ0eXAiOiJsb2dpbi1zdGF0ZStqd3QiLCJhbGciOiJIUzI1NiJ9.${id}.stub`;
    this.logins.push({ id, state, body, status: "pending", tries: 0 });
    const confirmation = redirect ? "none" : (body["confirmation"] ?? this.confirmation);
    json(answer, 201, {
      login_id: id,
      state,
      redirect_uri: `${this.origin}/auth/callback`,
      confirmation,
      ...(confirmation === "pairing_code" ? { pairing_code: "K7WR-9F2D" } : {}),
      expires_in: this.expiresIn,
      max_wait: this.maxWait,
    });
  }

  #complete(login: StubLogin, seen: Seen, answer: ServerResponse): void {
    if (login.status !== "held") return this.problem(answer, 409, "login-pending");
    login.tries += 1;
    const { completion_code: code } = JSON.parse(seen.body) as Record<string, unknown>;
    if (code !== "KTRW-9F2D") {
      return this.problem(answer, 403, "completion-code-wrong", { tries_left: 5 - login.tries });
    }
    void this.release(login, this.callback).then(() => json(answer, 204, null));
  }
}

/** Answers the token endpoint: an account for each code, every code once. */
export class StubIdp extends Server {
  readonly accounts = new Map<string, string>();
  readonly redeemed: URLSearchParams[] = [];
  /** More claims of the id token, by account. */
  readonly claims = new Map<string, Record<string, unknown>>();
  sendsIss = true;

  protected override answer(seen: Seen, answer: ServerResponse): void {
    switch (seen.path) {
      case "/.well-known/openid-configuration":
        return json(answer, 200, {
          issuer: this.origin,
          authorization_endpoint: `${this.origin}/authorize`,
          token_endpoint: `${this.origin}/token`,
          authorization_response_iss_parameter_supported: this.sendsIss,
        });
      case "/token":
      case "/oauth/token":
        return this.#redeem(new URLSearchParams(seen.body), answer);
      default:
        return json(answer, 404, {});
    }
  }

  #redeem(form: URLSearchParams, answer: ServerResponse): void {
    const account = this.accounts.get(form.get("code") ?? "");
    if (!account) return json(answer, 400, { error: "invalid_grant" });
    this.accounts.delete(form.get("code")!);
    this.redeemed.push(form);
    const claims = {
      "https://api.openai.com/auth": { chatgpt_account_id: account },
      ...this.claims.get(account),
    };
    const idToken = `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.`;
    json(answer, 200, {
      access_token: `access-${account}`,
      refresh_token: `refresh-${account}`,
      id_token: idToken,
      expires_in: 3600,
    });
  }
}
