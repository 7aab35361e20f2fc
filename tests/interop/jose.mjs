// The protocol as another implementation sees it: `jose` in Node. Reads one request as JSON from
// stdin, answers on stdout. Run where `jose` is installed.
import * as jose from "jose"
import { readFileSync } from "node:fs"

const seal = async ({ issuer, login_id, jwk, kid, publicKey, params, now, exp }) => {
  const signed = await new jose.SignJWT({ params })
    .setProtectedHeader({ alg: "ES256", kid, typ: "login-response+jwt" })
    .setIssuer(issuer).setAudience(login_id).setJti(login_id).setIssuedAt(now).setExpirationTime(exp)
    .sign(await jose.importJWK(jwk, "ES256"))
  const header = {
    alg: "ECDH-ES", enc: "A256GCM", cty: "JWT", kid: await jose.calculateJwkThumbprint(publicKey),
  }
  const to = await jose.importJWK(publicKey, "ECDH-ES")
  return new jose.CompactEncrypt(new TextEncoder().encode(signed)).setProtectedHeader(header).encrypt(to)
}

const open = async ({ sealed, privateKey, jwks, issuer, login_id, now, idp_issuer }) => {
  const key = await jose.importJWK(privateKey, "ECDH-ES")
  const { plaintext, protectedHeader } = await jose.compactDecrypt(sealed, key, {
    keyManagementAlgorithms: ["ECDH-ES"], contentEncryptionAlgorithms: ["A256GCM"],
  })
  if (protectedHeader.cty !== "JWT") throw new Error("cty")
  if (protectedHeader.kid !== (await jose.calculateJwkThumbprint(privateKey))) throw new Error("kid")
  const { payload } = await jose.jwtVerify(
    new TextDecoder().decode(plaintext), jose.createLocalJWKSet(jwks),
    {
      algorithms: ["ES256"], typ: "login-response+jwt", issuer, audience: login_id,
      requiredClaims: ["exp"], clockTolerance: 120, currentDate: new Date(now * 1000),
    },
  )
  if (typeof payload.aud !== "string") throw new Error("aud")
  if (typeof payload.params !== "object") throw new Error("params")
  if (idp_issuer && payload.params.iss !== idp_issuer) throw new Error("params.iss")
  return payload.params
}

const state = async ({ token, secret_hex, issuer, now }) =>
  (await jose.jwtVerify(token, Buffer.from(secret_hex, "hex"), {
    algorithms: ["HS256"], typ: "login-state+jwt", issuer, audience: "login-state",
    currentDate: new Date(now * 1000),
  })).payload

const actions = { seal, open, state, thumbprint: ({ jwk }) => jose.calculateJwkThumbprint(jwk) }
const requests = JSON.parse(readFileSync(0, "utf8"))
const answers = []
for (const { action, ...rest } of requests) {
  try {
    answers.push({ ok: await actions[action](rest) })
  } catch (error) {
    answers.push({ refused: error.message })
  }
}
console.log(JSON.stringify(answers))
