/** The relay's signing keys, and the pair that a response is sealed to. */

import {
  type CryptoKey,
  type JWTVerifyGetKey,
  calculateJwkThumbprint,
  createRemoteJWKSet,
  customFetch,
  exportJWK,
  generateKeyPair,
} from "jose";

import { exchange } from "../http.js";
import type { Discovery } from "./discovery.js";

export interface LoginKeys {
  readonly privateKey: CryptoKey;
  readonly publicKey: { kty: string; crv: string; x: string; y: string };
  /** RFC 7638 thumbprint of the public key. */
  readonly thumbprint: string;
}

/** A fresh P-256 key pair for one login. The private key cannot be exported. */
export async function makeKeys(): Promise<LoginKeys> {
  const pair = await generateKeyPair("ECDH-ES", { crv: "P-256" });
  const { kty, crv, x, y } = await exportJWK(pair.publicKey);
  const publicKey = { kty: kty!, crv: crv!, x: x!, y: y! };
  return {
    privateKey: pair.privateKey,
    publicKey,
    thumbprint: await calculateJwkThumbprint(publicKey),
  };
}

const keySets = new Map<string, JWTVerifyGetKey>();

/** The relay's signing keys; an unknown `kid` makes them be read again, at most once a minute. */
export function signingKeys(relay: Discovery): JWTVerifyGetKey {
  let keys = keySets.get(relay.jwksUri);
  if (!keys) {
    keys = createRemoteJWKSet(new URL(relay.jwksUri), {
      cacheMaxAge: 300_000,
      cooldownDuration: 60_000,
      timeoutDuration: 10_000,
      [customFetch]: async (url, init) => {
        const { answer, text } = await exchange(url, init, 10_000);
        return new Response(text, { status: answer.status });
      },
    });
    keySets.set(relay.jwksUri, keys);
  }
  return keys;
}
