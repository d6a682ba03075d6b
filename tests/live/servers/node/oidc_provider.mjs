// panva's oidc-provider: opaque tokens, rotation, grants that end when a refresh token is used twice. Tokens are issued
// by its own models, as after a login in a browser, or by its pages; the API is its userinfo route.
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js'
import { announce, makeUsers } from './serving.mjs'

const CLIENT_ID = 'app'
const SCOPE = 'openid offline_access'
const { users, locked, orders } = makeUsers()
const grants = new Map()
let lives = { access: 3600, refresh: 86400 }

const server = createServer()
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${server.address().port}`

// Clients that authenticate by a JWT; an adapter, since they are registered while it runs.
const registered = new Map()

class Clients extends MemoryAdapter {
  async find (id) { return registered.get(id) ?? super.find(id) }
}

const provider = new Provider(url, {
  adapter: name => name === 'Client' ? new Clients(name) : new MemoryAdapter(name),
  clientAuthMethods: ['client_secret_basic', 'client_secret_jwt', 'private_key_jwt'],
  scopes: ['openid', 'offline_access', 'api'],
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA'] },
  clients: [{
    client_id: CLIENT_ID,
    client_secret: 'its secret: 100%',
    // To which a redirect may go to any port of this host.
    application_type: 'native',
    redirect_uris: ['https://app.example.com/callback', 'http://127.0.0.1/'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code']
  }],
  cookies: { keys: ['a server that only tests talk to, on loopback'] },
  // Its pages for development take any password.
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true }
  },
  clockTolerance: 0,
  // Always, which for clients with a secret it does only late in a token's life by default.
  rotateRefreshToken: true,
  ttl: { AccessToken: () => lives.access, RefreshToken: () => lives.refresh, Grant: 86400 },
  findAccount: (_, id) => users.has(id) && !locked.has(id)
    ? { accountId: id, claims: () => ({ sub: id }) }
    : undefined
})
server.on('request', provider.callback())

async function tokens (username) {
  const client = await provider.Client.find(CLIENT_ID)
  const grant = new provider.Grant({ accountId: username, clientId: CLIENT_ID })
  grant.addOIDCScope(SCOPE)
  const grantId = await grant.save()
  grants.set(username, grantId)
  const given = { accountId: username, client, grantId, scope: SCOPE, gty: 'authorization_code', expiresWithSession: false }
  const access = await new provider.AccessToken(given).save()
  const refresh = await new provider.RefreshToken({ ...given, rotations: 0 }).save()
  return { access, refresh }
}

await announce(`${url}/`, {
  ...orders,
  tokens,
  register: (id, method, algorithm, key) => registered.set(id, {
    client_id: id,
    token_endpoint_auth_method: method,
    token_endpoint_auth_signing_alg: algorithm,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: 'api',
    ...(method === 'private_key_jwt' ? { jwks: { keys: [key] } } : { client_secret: key })
  }),
  revoke: async username => {
    const grantId = grants.get(username)
    await provider.AccessToken.adapter.revokeByGrantId(grantId)
    await provider.RefreshToken.adapter.revokeByGrantId(grantId)
  },
  lifetimes: (access, refresh) => { lives = { access, refresh } }
})
