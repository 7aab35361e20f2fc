/** What a person signs in to: whom they are asked by, and what becomes of the code. */

import type { Idp } from "../idp/provider.js";
import type { Log } from "../opencode/log.js";
import type { Discovery } from "../relay/discovery.js";
import type { Login } from "./logins.js";

export interface Found {
  readonly idp: Idp;
  /** Where the browser is to come back to: the relay's redirect URI, or localhost's. */
  readonly redirectUri: string;
}

/** What an authorization code is redeemed with (RFC 6749 4.1.3 with RFC 7636). */
export interface Grant {
  readonly code: string;
  readonly redirectUri: string;
  readonly verifier: string;
}

export interface Target {
  /** The provider of opencode's list in whose dialog the sign-in begins. */
  readonly provider: string;
  /** Which of that provider's accounts, where it has several. */
  readonly account?: string;
  /** Whom the person signs in with, for the pages: 1 to 40 printable characters. */
  readonly name: string;
  /** The host at which the person signs in, where that is another than `name` suggests. */
  readonly where?: string | undefined;
  /**
   * Asks for what one sign-in needs to know of the identity provider; without a relay the person is
   * to paste. Throws an error that says what is wrong.
   */
  find(relay: Discovery | undefined): Promise<Found>;
  /**
   * Redeems the code, keeps what it gives and ends the login. Throws an error that says why not.
   * One at a time for each login.
   */
  redeem(login: Login, idp: Idp, grant: Grant): Promise<void>;
  /** Ends the logins under way if what they sign in to was taken away since the last look. */
  look(log: Log): Promise<void>;
}
