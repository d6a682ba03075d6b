// NestJS with @nestjs/jwt and passport-jwt as its documentation shows it, and the usual second route for refreshing.
// Decorators are applied as what they are, functions, since this is no TypeScript.
import 'reflect-metadata'
import { randomUUID } from 'node:crypto'
import { Controller, Dependencies, Get, HttpCode, Injectable, Module, Post, UnauthorizedException, UseGuards, Bind, Body, Request } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { JwtModule, JwtService } from '@nestjs/jwt'
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport'
import { ExtractJwt, Strategy } from 'passport-jwt'
import { announce, makeUsers } from './serving.mjs'

const SECRET = 'a server that only tests talk to, on loopback'
const { users, locked, orders } = makeUsers()
// The one good refresh token of each user.
const refreshable = new Map()
let lives = { access: 3600, refresh: 86400 }

class JwtStrategy extends PassportStrategy(Strategy) {
  constructor () {
    super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), ignoreExpiration: false, secretOrKey: SECRET })
  }

  async validate (payload) {
    if (payload.kind === 'refresh' || !users.has(payload.sub)) throw new UnauthorizedException()
    if (locked.has(payload.sub)) throw new UnauthorizedException('User is blocked')
    return { username: payload.sub }
  }
}
Injectable()(JwtStrategy)

class AuthController {
  constructor (jwtService) {
    this.jwtService = jwtService
  }

  async login ({ username, password }) {
    if (!users.has(username) || users.get(username) !== password) throw new UnauthorizedException()
    if (locked.has(username)) throw new UnauthorizedException('User is blocked')
    return this.issue(username)
  }

  async refresh ({ refreshToken: given }) {
    const { sub, jti } = await this.verified(given)
    if (!users.has(sub) || refreshable.get(sub) !== jti) throw new UnauthorizedException()
    if (locked.has(sub)) throw new UnauthorizedException('User is blocked')
    return this.issue(sub)
  }

  async verified (token) {
    try {
      return await this.jwtService.verifyAsync(token)
    } catch {
      throw new UnauthorizedException()
    }
  }

  async issue (username) {
    const jti = randomUUID()
    refreshable.set(username, jti)
    return {
      accessToken: await this.jwtService.signAsync({ sub: username }, { expiresIn: lives.access }),
      refreshToken: await this.jwtService.signAsync({ sub: username, kind: 'refresh', jti }, { expiresIn: lives.refresh })
    }
  }

  me (request) {
    return request.user
  }
}
const decorate = (name, ...decorators) => {
  for (const decorator of decorators) {
    decorator(AuthController.prototype, name, Object.getOwnPropertyDescriptor(AuthController.prototype, name))
  }
}
Controller('auth')(AuthController)
Dependencies(JwtService)(AuthController)
decorate('login', Post('login'), HttpCode(200), Bind(Body()))
decorate('refresh', Post('refresh'), HttpCode(200), Bind(Body()))
decorate('me', Get('profile'), UseGuards(AuthGuard('jwt')), Bind(Request()))

class AppModule {}
Module({
  imports: [PassportModule, JwtModule.register({ secret: SECRET })],
  controllers: [AuthController],
  providers: [JwtStrategy]
})(AppModule)

const app = await NestFactory.create(AppModule, { logger: ['error'] })
await app.listen(0, '127.0.0.1')
await announce(`http://127.0.0.1:${app.getHttpServer().address().port}/`, {
  ...orders,
  revoke: username => { refreshable.delete(username) },
  lifetimes: (access, refresh) => { lives = { access, refresh } }
})
