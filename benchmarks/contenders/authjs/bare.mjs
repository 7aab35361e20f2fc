// Auth.js as a redirect proxy on bare node:http: less than its framework adapters do.
import { createServer } from "node:http"
import { Auth } from "@auth/core"
import { config, origin, port } from "./config.mjs"

createServer(async (asked, answer) => {
  const request = new Request(origin + asked.url, { method: asked.method, headers: asked.headers })
  const response = await Auth(request, config)
  answer.writeHead(response.status, [...response.headers].flat())
  answer.end(Buffer.from(await response.arrayBuffer()))
}).listen(port, "127.0.0.1")
