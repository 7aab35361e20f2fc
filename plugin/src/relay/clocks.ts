/** This clock and the relay's: by ours what the relay has signed expires. */

import type { Discovery } from "./discovery.js";
import { RelayError } from "./problems.js";

/** Seconds that a response may be older than it says. */
export const LEEWAY = 120;

/** What is wrong with our clock, if it is; `ahead` in milliseconds, negative where it is behind. */
export function clockDiffers(ahead: number): string | undefined {
  if (Math.abs(ahead) <= LEEWAY * 1000) return undefined;
  return `opencode's clock is ${inWords(ahead)} the relay's: set the two right`;
}

/** Throws `RelayError` if by our clock every response of the relay is too old. */
export function checkClock({ ahead, loginLifetime }: Discovery): void {
  if (ahead <= (loginLifetime + LEEWAY) * 1000) return;
  const short = `clock ${minutes(ahead)} min ahead`;
  throw new RelayError(`${clockDiffers(ahead)}, for all that it signs seems too old`, short);
}

function inWords(ahead: number): string {
  return `${minutes(ahead)} minutes ${ahead > 0 ? "ahead of" : "behind"}`;
}

function minutes(ahead: number): number {
  return Math.round(Math.abs(ahead) / 60_000);
}
