// The same for both servers; every endpoint is named, so that nothing has to be discovered.
export const port = Number(process.argv[2])
export const origin = `http://127.0.0.1:${port}`
export const config = {
  secret: process.env.AUTH_SECRET,
  trustHost: true,
  basePath: "/auth",
  redirectProxyUrl: `${origin}/auth`,
  providers: [
    {
      id: "idp",
      name: "IdP",
      type: "oauth",
      clientId: "client",
      clientSecret: "secret",
      authorization: "https://idp.example/authorize",
      token: "https://idp.example/token",
      userinfo: "https://idp.example/userinfo",
    },
  ],
}
