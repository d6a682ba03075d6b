// Fastify with @fastify/jwt as its README shows it; the refresh token is a JWT of another kind, sent in the body.
import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import jwt from '@fastify/jwt'
import { announce, makeUsers } from './serving.mjs'

const { users, locked, orders } = makeUsers()
let lives = { access: 3600, refresh: 86400 }

const app = Fastify()
app.register(jwt, { secret: 'a server that only tests talk to, on loopback' })

const pair = username => ({
  accessToken: app.jwt.sign({ sub: username }, { expiresIn: lives.access }),
  refreshToken: app.jwt.sign({ sub: username, kind: 'refresh', jti: randomUUID() }, { expiresIn: lives.refresh })
})

const refuse = reply => reply.code(401).send({ statusCode: 401, error: 'Unauthorized', message: 'Unauthorized' })

app.post('/login', async (request, reply) => {
  const { username, password } = request.body
  if (locked.has(username) || users.get(username) !== password) return refuse(reply)
  return pair(username)
})

app.post('/refresh', async (request, reply) => {
  let claims
  try {
    claims = app.jwt.verify(request.body.refreshToken)
  } catch {
    return refuse(reply)
  }
  const { sub, kind } = claims
  if (kind !== 'refresh' || !users.has(sub) || locked.has(sub)) return refuse(reply)
  return pair(sub)
})

app.get('/me', { onRequest: request => request.jwtVerify() }, async request => ({ username: request.user.sub }))

const url = await app.listen({ host: '127.0.0.1', port: 0 })
await announce(`${url}/`, { ...orders, lifetimes: (access, refresh) => { lives = { access, refresh } } })
