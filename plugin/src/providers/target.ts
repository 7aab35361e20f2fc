/** A gateway of one's own as what a person signs in to. */

import { checkIdToken } from "../idp/id-token.js";
import { findIdp } from "../idp/provider.js";
import { redeem } from "../idp/tokens.js";
import { withLock } from "../opencode/lock.js";
import { SettingsError } from "../settings.js";
import { slot } from "../signin/accounts.js";
import type { Target } from "../signin/target.js";
import { randomText } from "../signin/verifiers.js";
import { AUTH_JSON } from "./access.js";
import type { Gateway } from "./option.js";

export function gatewayTarget(gateway: Gateway): Target {
  const { id, issuer, scope, name } = gateway;
  const scopes = scope.split(" ");
  return {
    provider: id,
    name,
    find: async (relay) => {
      // Its client is one's own, and so has the relay's redirect URI registered.
      if (!relay) throw new SettingsError(`signing in with ${name} takes a relay: set the option "relay"`);
      const parameters = {
        scope,
        ...(scopes.includes("openid") ? { nonce: randomText() } : {}),
        // OpenID Connect Core 11: without it a refresh token need not be given.
        ...(scopes.includes("offline_access") ? { prompt: "consent" } : {}),
      };
      return { idp: await findIdp(gateway, parameters), redirectUri: relay.redirectUri };
    },
    redeem: async (login, idp, grant) => {
      const tokens = await redeem(idp.tokenEndpoint, idp.clientId, grant, { mayEnd: true });
      const { nonce } = idp.parameters;
      if (nonce) checkIdToken(tokens.idToken, idp, nonce);
      if (!tokens.refresh) {
        login.context.log("warn", `${name} gave no refresh token: people have to sign in again when the access token ends`);
      }
      const account = { ...tokens, accountId: undefined };
      await withLock(AUTH_JSON, () => slot(id).store(login, account, { enterpriseUrl: issuer }));
    },
    look: (log) => slot(id).look(log),
  };
}
