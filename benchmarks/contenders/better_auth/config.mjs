// Better Auth with `oauth-proxy`, without a database: its state then is in a cookie of the site.
import { betterAuth } from "better-auth"
import { oAuthProxy } from "better-auth/plugins/oauth-proxy"

export const make = (baseURL, productionURL) =>
  betterAuth({
    baseURL,
    secret: process.env.BETTER_AUTH_SECRET,
    trustedOrigins: ["http://preview.example"],
    socialProviders: { github: { clientId: "client", clientSecret: "secret" } },
    plugins: [oAuthProxy({ productionURL })],
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
  })
