import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { accessToken, type Server, serve } from '../binary/binary.ts'
import { hasNginx, type Nginx } from '../deploy/nginx.ts'
import { createDatabase } from '../postgresql.ts'
import { hasPyJwt, startSite, startUpstream, upstreams } from './upstream.ts'

const password = 'a long enough pass phrase'
const issuer = 'https://auth.example.com'

describe.skipIf(!(hasNginx && hasPyJwt)).each(upstreams)('examples/%s', (name, command) => {
  let server: Server
  let nginx: Nginx
  let byToken: string
  let byNginx: string
  let quarantined: string
  let token: string

  beforeAll(async () => {
    const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) }
    server = await serve({
      environment: { ...environment, ALGORITHM: 'EdDSA', ISSUER: issuer, TRUSTED_PROXIES: '127.0.0.1' },
    })
    quarantined = await accessToken(server.url)
    await fetch(`${server.url}/auth/password`, {
      method: 'POST',
      headers: { authorization: `Bearer ${quarantined}`, 'content-type': 'application/json' },
      body: JSON.stringify({ current_password: 'changeme', new_password: password }),
    })
    token = await accessToken(server.url, 'admin', password)
    byToken = `http://${await startUpstream(name, command, { AUTH: 'token', AUDITTRAIL_URL: server.url, ISSUER: issuer })}`
    const behind = await startUpstream(name, command, { AUTH: 'nginx' })
    nginx = await startSite(new URL(server.origin).host, ['--upstream', `/notes=http://${behind}`])
    byNginx = nginx.origin
  })
  afterAll(async () => {
    await nginx?.stop()
    await server?.stop()
  })

  const ask = (origin: string, bearer?: string, init: RequestInit = {}) =>
    fetch(`${origin}/notes`, {
      ...init,
      headers: { ...init.headers, ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) },
    })
  const places = () => [byToken, byNginx]

  test('accepts a valid token, verified with the published keys and behind Nginx, and stores notes', async () => {
    for (const origin of places()) {
      expect((await ask(origin, token, { method: 'POST', body: 'milk' })).status).toBe(204)
      const answer = await ask(origin, token)
      expect(answer.status).toBe(200)
      expect(await answer.json()).toEqual({ username: 'admin', roles: ['admin'], notes: ['milk'] })
    }
  })

  test('rejects missing, forged and password-change tokens', async () => {
    const [head = '', payload = '', signature = ''] = token.split('.')
    const keys = await (await fetch(`${server.url}/.well-known/jwks.json`)).text()
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString())
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const hs256 = `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${payload}`
    const forged = [
      `${hs256}.${createHmac('sha256', keys).update(hs256).digest('base64url')}`,
      `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${payload}.`,
      `${head}.${encode({ ...claims, roles: ['boss'] })}.${signature}`,
      `${encode({ alg: 'EdDSA', typ: 'at+jwt', kid: 'unknown' })}.${payload}.${signature}`,
      `${encode({ alg: 'EdDSA', typ: 'JWT', kid })}.${payload}.${signature}`,
      `${Buffer.from('['.repeat(4000)).toString('base64url')}.${payload}.${signature}`,
      'x.y.z',
      'x',
    ]
    for (const origin of places())
      for (const bearer of [undefined, ...forged]) {
        const response = await ask(origin, bearer)
        expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      }
    expect((await ask(byToken, quarantined)).status).toBe(401)
    expect((await ask(byNginx, quarantined)).status).toBe(403)
  })

  test('does not trust identity headers of a client', async () => {
    const headers = { 'x-auth-user': 'boss', 'x-auth-user-id': '1', 'x-auth-roles': 'boss' }
    for (const origin of places()) {
      expect((await ask(origin, undefined, { headers })).status).toBe(401)
      expect(await (await ask(origin, token, { headers })).json()).toMatchObject({
        username: 'admin',
        roles: ['admin'],
      })
    }
  })

  test('without the service, Nginx denies access and an example without keys returns 503', async () => {
    const environment = { AUTH: 'token', AUDITTRAIL_URL: server.url, ISSUER: issuer }
    const late = `http://${await startUpstream(name, command, environment)}`
    await server.stop()
    expect((await ask(byNginx, token)).status).toBe(503)
    expect((await ask(late, token)).status).toBe(503)
  })

  test('does not start without a configured issuer', async () => {
    const end = await startUpstream(name, command, {}).catch((error: Error) => error.message)
    expect(end).toContain('AUTH is "token" or "nginx"')
  })
})
