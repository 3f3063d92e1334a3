import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomUUID } from 'node:crypto'
import { hashOf, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { claimsAt, forge, goodHeader } from '../tokens/forgedTokens.ts'

const expired = 'Bearer error="invalid_token", error_description="expired"'
const revoked = 'Bearer error="invalid_token", error_description="revoked"'

describe.each(['HS256', 'EdDSA'] as const)('the challenge of a 401 with %s', (algorithm) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL', { algorithm })
    const hash = await hashOf(good)
    await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
      VALUES ('ada', '${hash}', 'Ada', '{admin}')`)
  })
  afterAll(() => application.close())

  const challengeOf = async (token: string, path = '/auth/me', init: RequestInit = {}) => {
    const response = await application.call(path, { ...init, headers: { authorization: `Bearer ${token}` } })
    return [response.status, response.headers.get('www-authenticate')]
  }
  const lastRefusal = () => application.lines.findLast(({ event }) => event === 'token.refused')
  const refusals = () => application.lines.filter(({ event }) => event === 'token.refused').length
  const signIn = () => application.accessToken('ada', good)
  const sidOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sid as string

  test('names expired for a token after its end, on every kind of route, and logs it', async () => {
    const token = await signIn()
    application.clock.now += 1800_000
    for (const path of [
      '/auth/me',
      '/auth/session',
      '/auth/sessions',
      '/users',
      '/blocks',
      '/auth/activity',
      '/audit/events',
      '/auth/verify',
    ])
      expect([path, ...(await challengeOf(token, path))]).toEqual([path, 401, expired])
    expect(await challengeOf(token, '/auth/introspect', { method: 'POST' })).toEqual([401, expired])
    application.clock.now -= 1800_000
    expect(lastRefusal()).toMatchObject({
      level: 'info',
      reason: 'expired',
      username: 'ada',
      session: sidOf(token),
      address: '192.0.2.7',
    })
    expect(await challengeOf(token)).toEqual([200, null])
  })

  test.each([
    ['logout', (token: string) => challengeOf(token, '/auth/logout', { method: 'POST' })],
    [
      'revocation',
      (token: string) => application.call('/auth/revoke', { method: 'POST', body: new URLSearchParams({ token }) }),
    ],
    ['deletion of its session', () => application.sql('DELETE FROM audittrail_sessions')],
    ['disabling its user', () => application.sql(`UPDATE users SET is_active = false WHERE username = 'ada'`)],
    ['renaming its user', () => application.sql(`UPDATE users SET username = 'eva' WHERE username = 'ada'`)],
    ['deletion of its user', () => application.sql(`DELETE FROM users WHERE username = 'ada'`)],
  ])('names revoked after %s and logs it', async (_what, end) => {
    const [row] = await application.sql(`SELECT * FROM users WHERE username = 'ada'`)
    const token = await signIn()
    await end(token)
    expect(await challengeOf(token)).toEqual([401, revoked])
    expect(await challengeOf(token, '/auth/verify')).toEqual([401, revoked])
    expect(lastRefusal()).toMatchObject({ reason: 'revoked', username: 'ada', session: sidOf(token) })
    await application.sql(`DELETE FROM users WHERE id = '${row?.id}'`)
    await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
      VALUES ('ada', '${row?.hashed_password}', 'Ada', '{admin}')`)
  })

  test('names expired, not revoked, for a token whose session ended before its own end', async () => {
    const token = await signIn()
    await challengeOf(token, '/auth/logout', { method: 'POST' })
    application.clock.now += 1800_000
    expect(await challengeOf(token)).toEqual([401, expired])
    application.clock.now -= 1800_000
  })

  test('names revoked for a token that only allowed the change of a password', async () => {
    const token = await application.accessToken()
    await application.sql(`UPDATE users SET must_change_password = false WHERE username = 'admin'`)
    expect(await challengeOf(token, '/auth/sessions')).toEqual([401, revoked])
    await application.sql(`UPDATE users SET must_change_password = true WHERE username = 'admin'`)
  })

  test('is Bearer alone, without a log line, for any token that was not signed by this server', async () => {
    const token = await signIn()
    const [header = '', claims = '', signature = ''] = token.split('.')
    const now = Math.floor(application.clock.now / 1000)
    const lines = refusals()
    for (const foreign of [
      'nonsense',
      'a.b.c',
      `${header}.${claims}.${signature.slice(0, -4)}AAAA`,
      `${header}.${claims}.`,
      forge(goodHeader, claimsAt(now), 'sha256', 'another key of at least 32 bytes'),
      forge(goodHeader, { ...claimsAt(now), exp: now - 60 }, 'sha256', 'another key of at least 32 bytes'),
      forge({ alg: 'none', typ: 'at+jwt' }, { ...claimsAt(now), exp: now - 60 }),
      `atr_${'A'.repeat(60)}`,
      await application.apiKey({ scopes: ['users:read'] }),
    ])
      for (const path of ['/auth/me', '/auth/sessions']) {
        expect([foreign, ...(await challengeOf(foreign, path))]).toEqual([foreign, 401, 'Bearer'])
      }
    const without = await application.call('/auth/me')
    expect([without.status, without.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect(refusals()).toBe(lines)
  })

  test('leaves the body of the response as it is', async () => {
    const token = await signIn()
    await challengeOf(token, '/auth/logout', { method: 'POST' })
    const response = await application.me(token)
    expect(await response.json()).toEqual({
      type: 'urn:audittrail:problem:invalid_token',
      title: 'Unauthorized',
      status: 401,
      detail: 'Could not validate credentials',
      request_id: response.headers.get('x-request-id'),
    })
    const login = await application.login('ada', 'wrong')
    expect(login.headers.get('www-authenticate')).toBe('Bearer')
  })
})

describe('a correctly signed token of another issuer, another audience or the future', () => {
  test('gets Bearer alone, expired or not', async () => {
    const application = await openTestApplication('PostgreSQL')
    await application.login()
    const now = Math.floor(application.clock.now / 1000)
    for (const change of [{ iss: 'other' }, { aud: 'other' }, { iat: now + 60 }, { sid: 'x' }, { exp: String(now) }])
      for (const exp of [now + 60, now - 60]) {
        const token = forge(goodHeader, { ...claimsAt(now), exp, ...change }, 'sha256', application.secretKey)
        expect((await application.me(token)).headers.get('www-authenticate')).toBe('Bearer')
      }
    const deleted = forge(goodHeader, { ...claimsAt(now), uid: randomUUID() }, 'sha256', application.secretKey)
    expect((await application.me(deleted)).headers.get('www-authenticate')).toBe(revoked)
    await application.close()
  })
})
