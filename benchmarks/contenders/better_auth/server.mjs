// The production server, through which previews sign in, as Better Auth's docs serve it on Node.
import { createServer } from "node:http"
import { toNodeHandler } from "better-auth/node"
import { make } from "./config.mjs"

const port = Number(process.argv[2])
const origin = `http://127.0.0.1:${port}`
createServer(toNodeHandler(make(origin, origin))).listen(port, "127.0.0.1")
// Node writes its compile cache when it exits, and not when the signal kills it.
process.once("SIGTERM", () => process.exit())
