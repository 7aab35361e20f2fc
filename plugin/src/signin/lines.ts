/** The lines of one provider's dialog in opencode that a sign-in begins with. */

import type { Authorization, Method } from "../opencode/interface.js";
import type { Settings } from "../settings.js";
import { pasteSignIn, relaySignIn } from "./begin.js";
import { shown } from "./dialog.js";
import type { Context } from "./logins.js";
import { Offer, PASTE } from "./offer.js";
import type { Target } from "./target.js";
import type { WhyNoListener } from "./ways.js";

interface Lines {
  readonly offer: Offer;
  /** Through the relay. */
  readonly relayed: Method;
  /** Without it, by the address of a page that does not load. */
  readonly pasted: Method;
  /** Any other way. */
  line(label: () => string, begin: () => Promise<Authorization>): Method;
}

/** `way`: what the relay's line says as long as the relay has not been asked. */
export function linesOf(
  context: Context,
  settings: () => Settings,
  target: Target,
  whyNoListener: WhyNoListener,
  way?: "browser",
): Lines {
  const offer = new Offer(target, settings, whyNoListener, context.log, way);
  const line: Lines["line"] = (label, begin) => ({
    type: "oauth",
    get label() {
      return label();
    },
    authorize: (inputs) => shown(context, target.provider, inputs, begin),
  });
  const viaRelay = async (): Promise<Authorization> => {
    try {
      const begun = await relaySignIn(context, settings(), target, whyNoListener);
      offer.works();
      return begun;
    } catch (error) {
      offer.fails(error as Error);
      throw error;
    }
  };
  return {
    offer,
    relayed: line(() => offer.label, viaRelay),
    pasted: line(
      () => `${target.name}: ${PASTE}`,
      () => pasteSignIn(context, target),
    ),
    line,
  };
}
