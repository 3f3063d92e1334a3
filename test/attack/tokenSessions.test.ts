import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { accessToken, login, me, type Server, serve } from '../binary/binary.ts'
import type { OpenApiDocument } from '../document.ts'
import { createDatabase } from '../postgresql.ts'
import { hmac, readToken, signed, tokenOf } from './forgery.ts'

// A token that used to be valid, or that is valid for something else, gives no access.

const secretKey = 'the signing key of these attacks, 32 bytes and more'
const password = 'a long enough pass phrase'
const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

let server: Server
let sql: postgres.Sql
beforeAll(async () => {
  const url = await createDatabase()
  server = await serve({
    environment: { DATABASE_URL: url, SECRET_KEY: secretKey, ADMIN_PASSWORD: password, ...cheap },
  })
  sql = postgres(url, { max: 1 })
  await sql`INSERT INTO users (username, hashed_password, full_name)
    SELECT name, hashed_password, name FROM users, unnest(ARRAY['ada', 'bob', 'eve']) AS name WHERE username = 'admin'`
})
afterAll(async () => {
  await sql.end()
  await server.stop()
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const post = (path: string, fields: Record<string, string>) =>
  fetch(server.url + path, { method: 'POST', body: new URLSearchParams(fields) })

async function pair(name: string): Promise<{ access: string; refresh: string }> {
  const response = await post('/auth/login', { username: name, password, scope: 'offline_access' })
  const { access_token: access, refresh_token: refresh } = (await response.json()) as Record<string, string>
  return { access: access ?? '', refresh: refresh ?? '' }
}

/** Only a token that the server signed gets a reason. */
async function expectRefusal(token: string, reason?: 'revoked'): Promise<void> {
  const response = await fetch(`${server.url}/auth/me`, { headers: { ...bearer(token), 'x-request-id': 'the-same' } })
  expect(response.status).toBe(401)
  const challenge = `Bearer${reason ? ` error="invalid_token", error_description="${reason}"` : ''}`
  expect(response.headers.get('www-authenticate')).toBe(challenge)
  expect(await response.text()).toBe(
    '{"type":"urn:audittrail:problem:invalid_token","title":"Unauthorized","status":401,' +
      '"detail":"Could not validate credentials","request_id":"the-same"}',
  )
}

describe('a formerly valid token', () => {
  test.each([
    [
      'its session was ended by logout',
      (token: string) => fetch(`${server.url}/auth/logout`, { method: 'POST', headers: bearer(token) }),
    ],
    ['it was revoked', (token: string) => post('/auth/revoke', { token })],
    ['its session has expired', () => sql`UPDATE audittrail_sessions SET expires_at = now() - interval '1 second'`],
    ['its session is deleted', () => sql`DELETE FROM audittrail_sessions`],
    ['its user is disabled', () => sql`UPDATE users SET is_active = false WHERE username = 'ada'`],
    ['its user is deleted', () => sql`DELETE FROM users WHERE username = 'ada'`],
    [
      'its user was deleted and created again',
      () =>
        sql`WITH old AS (DELETE FROM users WHERE username = 'ada' RETURNING hashed_password)
        INSERT INTO users (username, hashed_password, full_name) SELECT 'ada2', hashed_password, 'Ada' FROM old`.then(
          () => sql`UPDATE users SET username = 'ada' WHERE username = 'ada2'`,
        ),
    ],
  ])('is rejected once %s', async (_what, spoil) => {
    await sql`INSERT INTO users (username, hashed_password, full_name)
      SELECT 'ada', hashed_password, 'ada' FROM users WHERE username = 'bob' ON CONFLICT DO NOTHING`
    await sql`UPDATE users SET is_active = true`
    const { access, refresh } = await pair('ada')
    expect((await me(server.url, access)).status).toBe(200)
    await spoil(access)
    await expectRefusal(access, 'revoked')
    expect((await post('/auth/refresh', { refresh_token: refresh })).status).toBe(400)
  })

  test.each(['ada2', 'Ada'])(
    'is rejected once its user is renamed to %s, while the session continues',
    async (name) => {
      const { access, refresh } = await pair('ada')
      await sql`UPDATE users SET username = ${name} WHERE username = 'ada'`
      await expectRefusal(access, 'revoked')
      const answer = (await (await post('/auth/refresh', { refresh_token: refresh })).json()) as {
        access_token: string
      }
      expect(await (await me(server.url, answer.access_token)).json()).toMatchObject({ username: name })
      await sql`UPDATE users SET username = 'ada' WHERE username = ${name}`
    },
  )
})

describe('a correctly signed token', () => {
  test('requires a user, a username and a session that belong together', async () => {
    const bob = readToken(await accessToken(server.url, 'bob', password))
    const eve = readToken(await accessToken(server.url, 'eve', password))
    const forge = (claims: object) =>
      tokenOf(JSON.stringify(bob.header), JSON.stringify({ ...bob.claims, ...claims }), hmac(secretKey))
    const { uid, sub, sid } = eve.claims
    expect((await me(server.url, forge({}))).status).toBe(200)
    expect((await me(server.url, forge({ uid, sub, sid }))).status).toBe(200)
    for (const claims of [{ uid }, { sub }, { sid }, { uid, sub }, { uid, sid }, { sub, sid }]) {
      await expectRefusal(forge(claims), 'revoked')
    }
  })

  test('gets its roles from the database, not from its claims', async () => {
    const { header, claims } = readToken(await accessToken(server.url, 'bob', password))
    const token = tokenOf(JSON.stringify(header), JSON.stringify({ ...claims, roles: ['admin'] }), hmac(secretKey))
    expect((await fetch(`${server.url}/users`, { headers: bearer(token) })).status).toBe(403)
  })
})

describe('refresh tokens and access tokens', () => {
  test('are never accepted in place of each other', async () => {
    const { access, refresh } = await pair('bob')
    await expectRefusal(refresh)
    await expectRefusal(refresh.replace('atr_', ''))
    for (const token of [access, access.split('.')[2] ?? '', `atr_${access}`]) {
      const answers = [
        await post('/auth/refresh', { refresh_token: token }),
        await post('/auth/refresh', { refresh_token: token, grant_type: 'refresh_token' }),
        await post('/auth/login', { refresh_token: token, grant_type: 'refresh_token' }),
      ]
      for (const answer of answers) {
        expect(answer.status).toBe(400)
        expect(await answer.json()).toMatchObject({ error: 'invalid_grant' })
      }
    }
    expect((await me(server.url, access)).status).toBe(200)
    expect((await post('/auth/refresh', { refresh_token: refresh })).status).toBe(200)
  })

  test.each([
    ['in upper case', (token: string) => token.toUpperCase()],
    ['without its prefix', (token: string) => token.slice(4)],
    ['with its prefix twice', (token: string) => `atr_${token}`],
    ['with padding', (token: string) => `${token}=`],
    ['with a trailing space', (token: string) => `${token} `],
    ['with a trailing newline', (token: string) => `${token}\n`],
    [
      'with spare bits',
      (token: string) => token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1),
    ],
    ['one byte shorter', (token: string) => token.slice(0, -2)],
    ['one byte longer', (token: string) => `${token}AA`],
    ['of the next generation', (token: string) => change(token, 19, 1)],
    ['of another session', (token: string) => change(token, 0, 1)],
    ['under a MAC of zeros', (token: string) => `atr_${bytesOf(token).fill(0, 20).toString('base64url')}`],
    ['in zeros', (token: string) => `atr_${bytesOf(token).fill(0).toString('base64url')}`],
    ['under a MAC of SECRET_KEY itself', (token: string) => signedBySecret(bytesOf(token).subarray(0, 20))],
    ['as JSON', (token: string) => JSON.stringify(token)],
  ])('a refresh token %s is rejected, and the real one stays valid', async (_what, spoil) => {
    const { refresh } = await pair('bob')
    expect((await post('/auth/refresh', { refresh_token: spoil(refresh) })).status).toBe(400)
    expect((await post('/auth/revoke', { token: spoil(refresh) })).status).toBe(200)
    expect((await post('/auth/refresh', { refresh_token: refresh })).status).toBe(200)
  })

  test('revocation accepts both kinds and rejects forged ones', async () => {
    for (const kind of ['access', 'refresh'] as const) {
      const tokens = await pair('bob')
      const forged = signed(tokens.access.split('.').slice(0, 2).join('.'), hmac('another key'))
      expect((await post('/auth/revoke', { token: forged })).status).toBe(200)
      expect((await me(server.url, tokens.access)).status).toBe(200)
      expect((await post('/auth/revoke', { token: tokens[kind] })).status).toBe(200)
      await expectRefusal(tokens.access, 'revoked')
    }
  })
})

describe('every guarded route', () => {
  let locked: [method: string, path: string][]
  beforeAll(async () => {
    const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as OpenApiDocument
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    )
    locked = operations
      .filter(({ operation }) => operation.security !== undefined)
      .map(({ method, path }) => [method, path.replace(/\{[^}]+\}/g, crypto.randomUUID())])
    expect(locked.length).toBeGreaterThan(10)
  })

  /**
   * Sends a body that no route accepts, so that a route that reads it before authenticating is
   * detected.
   */
  const call = ([method, path]: [string, string], headers: Record<string, string>, origin = server.origin) =>
    fetch(origin + path, { method, headers, ...(method === 'GET' ? {} : { body: '{"a":' }) })

  test('rejects a missing token, a forged one and a refresh token before it reads the body', async () => {
    const { access, refresh } = await pair('bob')
    const forged = signed(access.split('.').slice(0, 2).join('.'), hmac('another key'))
    for (const route of locked) {
      const bodies = new Set<string>()
      for (const token of [forged, refresh, '', 'a.b.c']) {
        const answer = await call(route, { ...bearer(token), 'x-request-id': 'the-same' })
        expect([...route, answer.status]).toEqual([...route, 401])
        expect(answer.headers.get('www-authenticate')).toBe('Bearer')
        bodies.add(await answer.text())
      }
      expect(bodies.size).toBe(1)
      const without = await call(route, {})
      expect([...route, without.status]).toEqual([...route, 401])
    }
  })

  test('except four rejects a token whose user must change the password first', async () => {
    const quarantine = await serve({
      environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: secretKey, ...cheap },
    })
    const { access_token: token } = (await (await login(quarantine.url)).json()) as { access_token: string }
    const open = ['GET /api/auth/me', 'GET /api/auth/session', 'POST /api/auth/password', 'POST /api/auth/logout']
    for (const route of locked.filter((each) => !open.includes(each.join(' ')))) {
      const answer = await call(route, bearer(token), quarantine.origin)
      expect([...route, answer.status]).toEqual([...route, 403])
      expect(await answer.json()).toMatchObject({ type: 'urn:audittrail:problem:password_change_required' })
    }
    expect((await me(quarantine.url, token)).status).toBe(200)
    await quarantine.stop()
  })
})

function bytesOf(token: string): Buffer {
  return Buffer.from(token.slice('atr_'.length), 'base64url')
}

/** Returns the token with one byte of its payload changed, under its old MAC. */
function change(token: string, at: number, by: number): string {
  const bytes = bytesOf(token)
  bytes.writeUInt8((bytes.readUInt8(at) + by) & 0xff, at)
  return `atr_${bytes.toString('base64url')}`
}

function signedBySecret(body: Buffer): string {
  return `atr_${Buffer.concat([body, hmac(secretKey)(body.toString('latin1'))]).toString('base64url')}`
}
