// Auth.js as a redirect proxy, on plain node:http: what its framework adapters do, and no more.
import { createServer } from "node:http"
import { Auth } from "@auth/core"

const port = Number(process.argv[2])
const origin = `http://127.0.0.1:${port}`
const config = {
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

createServer(async (asked, answer) => {
  const request = new Request(origin + asked.url, { method: asked.method, headers: asked.headers })
  const response = await Auth(request, config)
  answer.writeHead(response.status, [...response.headers].flat())
  answer.end(Buffer.from(await response.arrayBuffer()))
}).listen(port, "127.0.0.1")
