/** The sealed response: a signed token (JWS) in an encrypted one (JWE), made for one login. */

import {
  type JWTVerifyGetKey,
  compactDecrypt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
} from "jose";

import { LEEWAY } from "./clocks.js";
import type { LoginKeys } from "./keys.js";

/** Not a response of the configured relay to this login. */
export class ResponseRefused extends Error {}

/** The relay's keys could not be read, or do not yet have the one that signed: ask again later. */
export class KeysUnavailable extends Error {}

/** The thumbprint of the key a response says it is sealed to: read, not checked. */
export function recipient(sealed: string): string | undefined {
  try {
    return decodeProtectedHeader(sealed).kid;
  } catch {
    return undefined;
  }
}

/**
 * Opens a sealed response and returns the callback's parameters.
 *
 * Algorithms are pinned, the signing keys are those of the configured issuer whatever the message
 * says, and `aud` ties it to this login. Throws `ResponseRefused` or `KeysUnavailable`.
 */
export async function openResponse(
  sealed: string,
  keys: LoginKeys,
  signingKeys: JWTVerifyGetKey,
  issuer: string,
  loginId: string,
): Promise<ReadonlyMap<string, string>> {
  const outer = await compactDecrypt(sealed, keys.privateKey, {
    keyManagementAlgorithms: ["ECDH-ES"],
    contentEncryptionAlgorithms: ["A256GCM"],
  }).catch(refuse);
  if (outer.protectedHeader.kid !== keys.thumbprint || outer.protectedHeader.cty !== "JWT") {
    throw new ResponseRefused("it is not sealed to this login's key");
  }
  const { payload } = await jwtVerify(outer.plaintext, onlyNamed(signingKeys), {
    algorithms: ["ES256"],
    typ: "login-response+jwt",
    issuer,
    audience: loginId,
    requiredClaims: ["exp"],
    clockTolerance: LEEWAY,
  }).catch(refuse);
  // `audience` above is also content with a list that merely contains the login.
  if (payload.aud !== loginId) throw new ResponseRefused("it is for other logins too");
  return asParameters(payload["params"]);
}

function refuse(error: unknown): never {
  if (error instanceof ResponseRefused || error instanceof KeysUnavailable) throw error;
  const code = error instanceof errors.JOSEError ? error.code : "unreadable";
  throw new ResponseRefused(`it cannot be verified (${code})`);
}

function onlyNamed(signingKeys: JWTVerifyGetKey): JWTVerifyGetKey {
  return async (header, token) => {
    if (!header.kid) throw new ResponseRefused("its signature names no key");
    try {
      return await signingKeys(header, token);
    } catch {
      throw new KeysUnavailable("the relay's signing keys cannot be read, or lack the one used");
    }
  };
}

function asParameters(params: unknown): ReadonlyMap<string, string> {
  if (typeof params !== "object" || params === null || Array.isArray(params)) {
    throw new ResponseRefused("it carries no parameters");
  }
  const entries = Object.entries(params);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === "string")) {
    throw new ResponseRefused("a parameter in it is no string");
  }
  return new Map(entries);
}
