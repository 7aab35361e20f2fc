/** Random verifiers, their challenges, and comparing what must not be guessed. */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

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
