/** One provider's dialog in opencode: the ways of signing in that it lists. */

import { setTimeout as sleep } from "node:timers/promises";

import type { Authorization, Method } from "../opencode/interface.js";
import type { Log } from "../opencode/log.js";
import type { Settings } from "../settings.js";
import { pasteSignIn, relaySignIn } from "./begin.js";
import type { Context } from "./logins.js";
import { Offer, PASTE } from "./offer.js";
import { resumable, resume } from "./showing.js";
import type { Target } from "./target.js";

type WhyNoListener = (settings: Settings, log: Log) => Promise<string | undefined>;

const FIRST_METHOD = 0;

export class Dialog {
  readonly offer: Offer;
  /** Through the relay. */
  readonly relayed: Method;
  /** Without it, by the address of a page that does not load. */
  readonly pasted: Method;
  readonly #context: Context;
  readonly #provider: string;

  constructor(
    context: Context,
    settings: () => Settings,
    target: Target,
    whyNoListener: WhyNoListener,
    way?: "browser",
  ) {
    this.#context = context;
    this.#provider = target.provider;
    this.offer = new Offer(target, settings, whyNoListener, context.log, way);
    this.relayed = this.way(
      () => this.offer.label,
      async () => {
        try {
          const shown = await relaySignIn(context, settings(), target, whyNoListener);
          this.offer.works();
          return shown;
        } catch (error) {
          this.offer.fails(error as Error);
          throw error;
        }
      },
    );
    this.pasted = this.way(
      () => `${target.name}: ${PASTE}`,
      () => pasteSignIn(context, target),
    );
  }

  /** A line of the dialog. What goes wrong at its beginning stands in the log. */
  way(label: () => string, begin: () => Promise<Authorization>): Method {
    return {
      type: "oauth",
      get label() {
        return label();
      },
      authorize: (inputs) =>
        this.#logged(
          async () => resume(this.#provider, inputs?.["resume"] ?? "") ?? (await begin()),
        ),
    };
  }

  /**
   * opencode forgets with its instance which login an input belongs to, and would refuse what a
   * person is about to paste. So the new instance is told of the login again.
   */
  async takeUpAgain(): Promise<void> {
    const { client, directory } = this.#context;
    await sleep(200, undefined, { ref: false });
    const token = resumable(this.#provider, directory);
    if (!token) return;
    await client.provider.oauth
      .authorize({
        path: { id: this.#provider },
        body: { method: FIRST_METHOD, inputs: { resume: token } },
      })
      .catch(() => undefined);
  }

  async #logged(signIn: () => Promise<Authorization>): Promise<Authorization> {
    try {
      const shown = await signIn();
      if (shown.method === "code") return shown;
      const callback = (): ReturnType<typeof shown.callback> => {
        void this.takeUpAgain();
        return shown.callback();
      };
      return { ...shown, callback };
    } catch (error) {
      this.#context.log("error", (error as Error).message);
      throw error;
    }
  }
}
