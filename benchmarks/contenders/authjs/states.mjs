// Prints states as an Auth.js site makes them that sits behind the proxy (its lib's checks.js).
import { randomBytes } from "node:crypto"
import { encode } from "@auth/core/jwt"

for (let left = Number(process.argv[2]); left > 0; left--) {
  const token = {
    origin: "http://preview.example/auth/callback/idp",
    random: randomBytes(32).toString("base64url"),
  }
  const secret = process.env.AUTH_SECRET
  console.log(await encode({ secret, token, salt: "encodedState", maxAge: 900 }))
}
