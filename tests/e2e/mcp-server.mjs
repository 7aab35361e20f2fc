// A remote MCP server with its own authorization server, both of the official SDK: protected
// resource metadata (RFC 9728), server metadata (RFC 8414), registration (RFC 7591, and RFC 7592's
// deletion), PKCE, `resource` (RFC 8707), refresh tokens that are used once. Its tool `who` says
// which account is signed in. Everybody is asked for an account, and for Allow or Deny.
//
// Every step leaves a JSON line on standard output.
//
// Settings: PORT, and, where another than the first is wanted,
//   URL            its public origin: http://127.0.0.1:PORT, or what is named
//   OAUTH          yes | no: nobody has to sign in
//   REGISTRATION   any | loopback: other redirect URIs are refused | none
//   CLIENT         a client that is registered from the beginning: JSON of RFC 7591's members
//   DOCUMENTS      client ID metadata documents: JSON of the loopback port of each host they are on
//   AUTHORIZE      any | loopback: other redirect URIs are refused though they are registered
//   ISS            none | right | wrong | missing: announced and not sent (RFC 9207)
//   SECONDS        how long an access token holds: 3600
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

import { InvalidClientMetadataError, InvalidGrantError, InvalidTargetError, InvalidTokenError }
  from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import {
  createOAuthMetadata, getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter, mcpAuthRouter,
} from '@modelcontextprotocol/sdk/server/auth/router.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'

const {
  PORT, URL: BASE = `http://127.0.0.1:${PORT}`, OAUTH = 'yes', REGISTRATION = 'any', CLIENT,
  DOCUMENTS, AUTHORIZE = 'any', ISS = 'none', SECONDS = '3600',
} = process.env
const RESOURCE = new URL(`${BASE}/mcp`)

const log = (event, fields) => console.log(JSON.stringify({ event, ...fields }))
const secret = () => randomBytes(24).toString('base64url')
const isLoopback = (uri) => ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(uri).hostname)

const clients = new Map()
const managers = new Map() // registration access tokens by client
const asked = new Map() // authorization requests that a person has not answered
const codes = new Map()
const accessTokens = new Map()
const refreshTokens = new Map()

if (CLIENT) clients.set(JSON.parse(CLIENT).client_id, JSON.parse(CLIENT))

const register = (client) => {
  if (REGISTRATION === 'loopback' && !client.redirect_uris.every(isLoopback)) {
    log('registration-refused', { redirect_uris: client.redirect_uris })
    throw new InvalidClientMetadataError('redirect_uris: this host is not allowed')
  }
  clients.set(client.client_id, client)
  managers.set(client.client_id, secret())
  log('registration', { ...client })
  return {
    ...client,
    registration_access_token: managers.get(client.client_id),
    registration_client_uri: `${BASE}/register/${client.client_id}`,
  }
}

/** draft-ietf-oauth-client-id-metadata-document: the client ID is the address of what says who it is. */
const described = async (id) => {
  const at = new URL(id)
  const port = JSON.parse(DOCUMENTS)[at.host]
  if (!port) return undefined
  const answer = await fetch(`http://127.0.0.1:${port}${at.pathname}`, { redirect: 'error' })
  const type = answer.headers.get('content-type')
  const document = answer.status === 200 && /^application\/(.+\+)?json\b/.test(type) && await answer.json()
  log('document', { id, status: answer.status, document })
  return document && document.client_id === id ? document : undefined
}

const take = (map, key) => {
  const value = map.get(key)
  map.delete(key)
  return value
}

const tokens = (grant, grant_type) => {
  const made = { access_token: secret(), refresh_token: secret() }
  const expiresAt = Math.floor(Date.now() / 1000) + Number(SECONDS)
  accessTokens.set(made.access_token, { ...grant, expiresAt })
  refreshTokens.set(made.refresh_token, grant)
  log('token', { grant_type, account: grant.account, client_id: grant.client_id, ...made })
  return { ...made, token_type: 'Bearer', expires_in: Number(SECONDS), scope: grant.scopes.join(' ') }
}

const provider = {
  clientsStore: {
    getClient: (id) => clients.get(id) ?? (DOCUMENTS && id.startsWith('https://') ? described(id) : undefined),
    ...(REGISTRATION !== 'none' && { registerClient: register }),
  },

  async authorize(client, { state, scopes = [], redirectUri, codeChallenge, resource }, response) {
    log('authorization', { client_id: client.client_id, redirect_uri: redirectUri, resource })
    if (resource?.href !== RESOURCE.href) throw new InvalidTargetError('resource: not this server')
    if (AUTHORIZE === 'loopback' && !isLoopback(redirectUri)) {
      response.status(400).type('html').send('<!doctype html><h1>This redirect URI is not allowed</h1>')
      return
    }
    const id = secret()
    asked.set(id, { client_id: client.client_id, state, scopes, redirectUri, codeChallenge })
    response.type('html').send(`<!doctype html><html lang=en><title>Demo MCP</title><h1>Demo MCP</h1>
      <form method=post action=/decision><input type=hidden name=id value=${id}>
      <label>Account <input name=account></label>
      <button name=decision value=allow>Allow</button>
      <button name=decision value=deny>Deny</button></form>`)
  },

  async challengeForAuthorizationCode(_client, code) {
    if (!codes.has(code)) throw new InvalidGrantError('code: unknown or used')
    return codes.get(code).codeChallenge
  },

  async exchangeAuthorizationCode(client, code, _verifier, redirectUri, resource) {
    const grant = take(codes, code)
    if (grant.client_id !== client.client_id) throw new InvalidGrantError('code: of another client')
    if (grant.redirectUri !== redirectUri) throw new InvalidGrantError('redirect_uri: another')
    if (resource?.href !== RESOURCE.href) throw new InvalidTargetError('resource: not this server')
    return tokens(grant, 'authorization_code')
  },

  async exchangeRefreshToken(client, token) {
    const grant = take(refreshTokens, token)
    if (grant?.client_id !== client.client_id) {
      log('refresh-refused', { client_id: client.client_id })
      throw new InvalidGrantError('refresh_token: unknown or used')
    }
    return tokens(grant, 'refresh_token')
  },

  async verifyAccessToken(token) {
    const grant = accessTokens.get(token)
    if (!grant) throw new InvalidTokenError('unknown')
    const { client_id: clientId, scopes, expiresAt, account } = grant
    return { token, clientId, scopes, expiresAt, extra: { account } }
  },
}

const metadata = createOAuthMetadata({ provider, issuerUrl: new URL(BASE), scopesSupported: ['mcp'] })
if (ISS !== 'none') metadata.authorization_response_iss_parameter_supported = true
if (DOCUMENTS) metadata.client_id_metadata_document_supported = true

/** Where the person's browser goes on to after Allow or Deny. */
const onward = ({ account, decision }, request) => {
  const url = new URL(request.redirectUri)
  if (decision === 'allow') {
    const code = secret()
    codes.set(code, { ...request, account })
    url.searchParams.set('code', code)
    log('code', { code, account, redirect_uri: request.redirectUri })
  } else {
    url.searchParams.set('error', 'access_denied')
    log('denied', { redirect_uri: request.redirectUri })
  }
  if (request.state) url.searchParams.set('state', request.state)
  if (ISS === 'right') url.searchParams.set('iss', metadata.issuer)
  if (ISS === 'wrong') url.searchParams.set('iss', 'https://wrong.example')
  return url.href
}

const app = express()
app.get('/healthz', (_request, response) => response.json({}))
if (OAUTH === 'yes') {
  const options = { rateLimit: false }
  // Before the SDK's own, which announces neither.
  app.use(mcpAuthMetadataRouter({
    oauthMetadata: metadata, resourceServerUrl: RESOURCE, scopesSupported: ['mcp'], resourceName: 'Demo MCP',
  }))
  app.delete('/register/:id', (request, response) => {
    const sent = createHash('sha256').update(request.headers.authorization ?? '').digest()
    const right = createHash('sha256').update(`Bearer ${managers.get(request.params.id)}`).digest()
    if (!timingSafeEqual(sent, right)) return response.status(401).end()
    clients.delete(request.params.id)
    log('deletion', { client_id: request.params.id })
    return response.status(204).end()
  })
  app.use(mcpAuthRouter({
    provider, issuerUrl: new URL(BASE), resourceServerUrl: RESOURCE, authorizationOptions: options,
    tokenOptions: options, clientRegistrationOptions: options,
  }))
  app.post('/decision', express.urlencoded({ extended: false }), (request, response) => {
    const one = take(asked, request.body.id)
    if (!one) return response.status(400).send('This page was answered before.')
    return response.redirect(onward(request.body, one))
  })
  app.use('/mcp', requireBearerAuth({
    verifier: provider, resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(RESOURCE),
  }))
}
app.post('/mcp', express.json(), async (request, response) => {
  const server = new McpServer({ name: 'demo', version: '1.0.0' })
  server.registerTool('who', { description: 'Says who is signed in.' }, ({ authInfo }) => {
    const account = authInfo?.extra.account ?? 'nobody'
    log('who', { account })
    return { content: [{ type: 'text', text: account }] }
  })
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
  response.on('close', () => server.close())
  await server.connect(transport)
  await transport.handleRequest(request, response, request.body)
})
app.all('/mcp', (_request, response) => response.status(405).end()) // no stream of its own

app.listen(Number(PORT), '127.0.0.1')
