// Auth.js as a redirect proxy, by its own adapter for Express, as its docs have it.
import express from "express"
import { ExpressAuth } from "@auth/express"
import { config, port } from "./config.mjs"

const app = express()
app.set("trust proxy", true)
app.use("/auth/*", ExpressAuth({ ...config }))
app.listen(port, "127.0.0.1")
