/** ChatGPT's headless device flow, which is not RFC 8628's: the server makes the PKCE verifier. */

import { type Answer, Unreachable, printable, request } from "../http.js";
import { CHATGPT, IdpError, errorCode } from "../idp/provider.js";
import { redeem } from "../idp/tokens.js";
import type { Authorization } from "../opencode/interface.js";
import { slot } from "./accounts.js";
import { PROVIDER } from "./chatgpt.js";
import { type Context, Login } from "./logins.js";

const LIFETIME = 15 * 60_000;

/** Milliseconds since 1970 until when the provider's "there is none" counts. */
let absent = 0;
const ABSENCE = 10 * 60_000;

/** False where the provider has said lately that it has none. */
export function deviceOffered(): boolean {
  return Date.now() >= absent;
}

/** Begins a device login and polls for its end. Throws `IdpError`. */
export async function deviceSignIn(context: Context): Promise<Authorization> {
  const { issuer, clientId } = CHATGPT;
  const { status, body } = await post(`${issuer}/api/accounts/deviceauth/usercode`, {
    client_id: clientId,
  }).catch((error: Unreachable) => {
    throw new IdpError(`${issuer} cannot be reached (${error.message})`);
  });
  absent = status === 404 ? Date.now() + ABSENCE : 0;
  const { device_auth_id: deviceAuthId, user_code: userCode } = body;
  if (status !== 200 || typeof deviceAuthId !== "string" || typeof userCode !== "string") {
    const why = status === 404 ? "it has no device flow" : "it may be switched off";
    throw new IdpError(`${issuer} gives no device code (status ${status}, ${errorCode(body)}): ${why}`);
  }
  const login = new Login(context, PROVIDER);
  const interval = Math.max(Number.parseInt(String(body["interval"]), 10) || 5, 1);
  void poll(login, { device_auth_id: deviceAuthId, user_code: userCode }, interval);
  return {
    url: `${issuer}/codex/device`,
    instructions: `Sign in and enter the code below: ${printable(userCode)}`,
    method: "auto",
    callback: () => login.answered,
  };
}

/** `interval` in seconds. */
async function poll(
  login: Login,
  device: Record<string, string>,
  interval: number,
): Promise<void> {
  const { issuer } = CHATGPT;
  const deadline = Date.now() + LIFETIME;
  while (!login.isOver) {
    await login.pause(interval);
    if (Date.now() > deadline) login.fail("the device code expired before it was used");
    if (login.isOver) return;
    const answer = await post(`${issuer}/api/accounts/deviceauth/token`, device, login.over).catch(
      () => undefined,
    );
    if (answer?.status === 200) {
      await finish(login, answer.body);
    } else if (answer && isFinal(answer.status)) {
      const error = errorCode(answer.body);
      login.fail(`${issuer} refuses the device login (status ${answer.status}, ${error})`);
    }
  }
}

// 403 and 404 mean that the person has not finished; 429 and 5xx, that it is to be asked again.
function isFinal(status: number): boolean {
  return ![403, 404, 429].includes(status) && status < 500;
}

async function finish(login: Login, body: Answer["body"]): Promise<void> {
  const { issuer, clientId, tokenEndpoint } = CHATGPT;
  const { authorization_code: code, code_verifier: verifier } = body;
  try {
    if (typeof code !== "string" || typeof verifier !== "string") {
      throw new IdpError(`${issuer} approved the device login without a code`);
    }
    const redirectUri = `${issuer}/deviceauth/callback`;
    const tokens = await redeem(tokenEndpoint, clientId, { code, redirectUri, verifier });
    await slot(PROVIDER).store(login, tokens);
  } catch (error) {
    login.fail((error as Error).message);
  }
}

function post(url: string, body: Record<string, string>, signal?: AbortSignal): Promise<Answer> {
  return request(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}
