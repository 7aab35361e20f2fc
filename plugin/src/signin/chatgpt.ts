/** ChatGPT, whose one client has localhost's redirect URIs, and whose account opencode uses. */

import { CHATGPT, LOOPBACK_REDIRECT_URI } from "../idp/provider.js";
import { redeem } from "../idp/tokens.js";
import { slot } from "./accounts.js";
import type { Target } from "./target.js";
import { isRegistered } from "./ways.js";

export const PROVIDER = "openai";

export const chatgpt: Target = {
  provider: PROVIDER,
  name: "ChatGPT",
  find: async (relay) => {
    const registered = relay && isRegistered(relay, CHATGPT);
    return { idp: CHATGPT, redirectUri: registered ? relay.redirectUri : LOOPBACK_REDIRECT_URI };
  },
  redeem: async (login, { tokenEndpoint, clientId }, grant) => {
    await slot(PROVIDER).store(login, await redeem(tokenEndpoint, clientId, grant));
  },
  look: (log) => slot(PROVIDER).look(log),
};
