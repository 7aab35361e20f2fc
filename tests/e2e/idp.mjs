// A certified OpenID provider with the client, the claims and the exact redirect URIs of the one
// opencode signs in to. Every code and token leaves a JSON line on standard output, so that a test
// can say which account an access token was issued to, and how often a code was redeemed.
//
// Everybody is asked for consent at every login. A browser whose cookie `response_mode` asks for it
// is answered by form_post.
//
// It is reached through what ends TLS for it (outside.py).
//
// Of one's own gateways and of GitLab the provider is another such process, at other addresses.
//
// Settings: PORT, ISSUER, CLIENT_ID, REDIRECT_URIS (a JSON list), METADATA: the one path at which it
// says what it is, FORM_ACTION: where the pages' Content-Security-Policy lets a form, and every
// redirect after it, lead.
import { Provider } from 'oidc-provider'

const { PORT, ISSUER, CLIENT_ID, REDIRECT_URIS, METADATA, FORM_ACTION } = process.env
const OPENID = '/.well-known/openid-configuration'
const OPENAI = 'https://api.openai.com/auth'

const log = (event, fields) => console.log(JSON.stringify({ event, ...fields }))
const openai = (account) => ({ [OPENAI]: { chatgpt_account_id: `acct_${account}` } })

const provider = new Provider(ISSUER, {
  clients: [{
    client_id: CLIENT_ID,
    token_endpoint_auth_method: 'none',
    // "native" would let the port of a loopback redirect URI vary.
    application_type: 'web',
    redirect_uris: JSON.parse(REDIRECT_URIS),
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }],
  // OpenAI's own paths: a client that does not ask for discovery finds them too.
  routes: { authorization: '/oauth/authorize', token: '/oauth/token' },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'offline_access', 'api'],
  claims: { openid: ['sub', OPENAI], profile: ['name'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  findAccount: (_ctx, account) => ({
    accountId: account,
    claims: () => ({
      sub: account, name: account, email: `${account}@example.org`, email_verified: true,
      ...openai(account),
    }),
  }),
  features: {
    devInteractions: { enabled: true },
    // Access tokens that are JWTs, as OpenAI's are.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'https://api.openai.com/v1',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid profile email offline_access api', accessTokenFormat: 'jwt',
      }),
    },
  },
  extraTokenClaims: (_ctx, token) => (token.accountId ? openai(token.accountId) : undefined),
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: 3600, AuthorizationCode: 600, IdToken: 3600, Interaction: 3600,
    Session: 86400, Grant: 86400, RefreshToken: 86400 },
  cookies: { keys: ['a-key-for-tests-only'] },
})

provider.proxy = true

provider.use(async (ctx, next) => {
  if (ctx.path === METADATA) ctx.path = OPENID
  else if (ctx.path === OPENID) ctx.throw(404)
  if (ctx.path === '/oauth/authorize') {
    const mode = ctx.cookies.get('response_mode')
    ctx.query = { ...ctx.query, prompt: 'consent', ...(mode && { response_mode: mode }) }
  }
  await next()
  if (ctx.type === 'text/html') ctx.set('content-security-policy', `form-action ${FORM_ACTION}`)
})

provider.on('authorization.success', (ctx, { code }) => log('code', {
  code, account: ctx.oidc.session.accountId, redirect_uri: ctx.oidc.params.redirect_uri,
}))
provider.on('authorization.error', (ctx, { error, error_description }) => log('authorization-error', {
  error, error_description, redirect_uri: ctx.oidc.params?.redirect_uri,
}))
provider.on('grant.success', (ctx) => log('token', {
  code: ctx.oidc.params.code,
  grant_type: ctx.oidc.params.grant_type,
  account: ctx.oidc.entities.Account.accountId,
  access_token: ctx.body.access_token,
  refresh_token: ctx.body.refresh_token,
  id_token: ctx.body.id_token,
  code_challenge_method: ctx.oidc.entities.AuthorizationCode?.codeChallengeMethod,
  verifier_sent: Boolean(ctx.oidc.params.code_verifier),
}))
provider.on('grant.error', (ctx, { error, error_description }) => log('token-error', {
  error, error_description, code: ctx.oidc.params?.code,
}))
provider.on('server_error', (_ctx, error) => log('server-error', { error: String(error?.stack) }))

provider.listen(Number(PORT), '127.0.0.1')
