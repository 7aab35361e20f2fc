/**
 * What opencode's list says of the relay's ways, and looking whether that is still so.
 *
 * opencode reads the list at once, so it is answered from what is known, and the next look begins.
 */

import type { Log } from "../opencode/log.js";
import { checkClock } from "../relay/clocks.js";
import { recall } from "../relay/discovery.js";
import { checkKey } from "../relay/opening.js";
import { RelayError } from "../relay/problems.js";
import { type Settings, SettingsError } from "../settings.js";
import type { Target } from "./target.js";
import { type WhyNoListener, comesBack, misspelt, whyNoRedirect } from "./ways.js";

// Of more than 52 characters opencode's terminal UI, 80 wide, shows no more. In a form that takes an
// input it shows the label and nothing else of ours.
export const PASTE = "paste the failed page's address";
const LABELS = {
  paste: `: ${PASTE}`,
  code: " via relay: type the code its page shows",
  helper: " via relay, with its extension or catcher",
  browser: " via relay (browser)",
};

/** Milliseconds that one request of a look may take. */
const PATIENCE = 4_000;
/** Milliseconds after which a look is old. */
const FRESH = 15_000;

export class Offer {
  readonly #target: Target;
  readonly #settings: () => Settings;
  readonly #whyNoListener: WhyNoListener;
  readonly #log: Log;
  #way: keyof typeof LABELS;
  /** True where a helper carries to the relay what ends on localhost. */
  #isCarried = false;
  /** True where what is set can be read at all. */
  #isSet = false;
  /** Why the relay's ways do not work, in a few words. */
  #trouble: string | undefined;
  #looking: Promise<void> | undefined;
  #old = 0;
  readonly #said = new Map<string, string | undefined>();

  constructor(
    target: Target,
    settings: () => Settings,
    whyNoListener: WhyNoListener,
    log: Log,
    /** As long as the relay has not been asked. */
    way: keyof typeof LABELS = "paste",
  ) {
    this.#way = way;
    this.#target = target;
    this.#settings = settings;
    this.#whyNoListener = whyNoListener;
    this.#log = log;
  }

  /** The first way's label. Reading it begins a look, where the last one is old. */
  get label(): string {
    if (Date.now() >= this.#old) void this.look();
    const { name } = this.#target;
    return this.#trouble
      ? `${name} via relay – not working: ${this.#trouble}, see opencode's log`
      : name + LABELS[this.#way];
  }

  /** True where pasting is to stand beside the first way: not everybody has a helper. */
  get pastesToo(): boolean {
    return this.#isSet && (this.#trouble !== undefined || this.#isCarried);
  }

  /** Looks at the settings and the relay, one look at a time. Never throws. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .then(
        () => this.works(),
        (error: Error) => {
          this.#say("trouble", "error", error.message);
          this.fails(error);
        },
      )
      .finally(() => {
        this.#looking = undefined;
        this.#old = Date.now() + FRESH;
      });
    return this.#looking;
  }

  /** A sign-in through the relay has begun. */
  works(): void {
    if (this.#trouble) this.#log("info", "the ways via the relay work again");
    this.#trouble = undefined;
    this.#said.delete("trouble");
  }

  /** A sign-in through the relay could not begin, which the log has been told. */
  fails(error: Error): void {
    this.#said.set("trouble", error.message);
    const known = error instanceof RelayError || error instanceof SettingsError;
    this.#trouble = known ? error.short : undefined;
  }

  async #look(): Promise<void> {
    const set = this.#settings();
    this.#isSet = true;
    if (this.#old === 0 && set.catcher) [this.#way, this.#isCarried] = ["helper", true];
    // At once: the reverse proxy has nobody to send a browser to before.
    const isPublic = await this.#isPublic(set);
    const found = await recall(set.relay(), PATIENCE);
    const { idp, redirectUri } = await this.#target.find(found);
    const wrong = redirectUri === found.redirectUri ? undefined : misspelt(found, idp);
    this.#say("issuer", "warn", wrong);
    const key = await set.key();
    const redirects = isPublic && !whyNoRedirect(found, redirectUri, set, key);
    this.#isCarried = set.catcher && redirectUri !== found.redirectUri;
    if (!comesBack(found, redirectUri, set)) this.#way = "paste";
    else if (!redirects && (!key || !found.pairingCodes)) this.#way = "code";
    else this.#way = this.#isCarried ? "helper" : "browser";
    await checkKey(found, key, PATIENCE);
    if (this.#way !== "paste" && this.#way !== "code") checkClock(found);
  }

  /** True where browsers can come back to us. */
  async #isPublic(set: Settings): Promise<boolean> {
    let isSet = false;
    let why: string | undefined;
    try {
      isSet = set.publicUrl() !== undefined;
      why = isSet ? await this.#whyNoListener(set, this.#log) : undefined;
    } catch (error) {
      why = (error as Error).message;
    }
    this.#say("listener", "warn", why && `publicUrl is not used for now: ${why}`);
    return isSet && !why;
  }

  /** Once, as long as it stays so. */
  #say(what: string, level: "warn" | "error", message: string | undefined): void {
    if (message && this.#said.get(what) !== message) this.#log(level, message);
    this.#said.set(what, message);
  }
}
