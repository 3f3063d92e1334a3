import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createApiKey } from '../../../src/domain/apiKeys/apiKeys.ts'
import { databaseKinds, hashOf, openTestApplication, type TestApplication } from '../../application.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe.each(databaseKinds)('sign-in on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  test('health returns exactly {"status":"ok"}', async () => {
    const response = await application.call('/health')
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('{"status":"ok"}')
  })

  test('ready returns ok once the database is migrated', async () => {
    expect(await (await application.call('/ready')).text()).toBe('{"status":"ok"}')
  })

  test('login returns a bearer token for the seeded administrator', async () => {
    const response = await application.login()
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.json()).toEqual({ access_token: expect.any(String), token_type: 'bearer', expires_in: 1800 })
  })

  test('login returns the full lifetime of a token, even if seconds pass during the request', async () => {
    const ticking = await openTestApplication(kind)
    let now = ticking.clock.now
    // Each reading of the clock is a third of a second later.
    Object.defineProperty(ticking.clock, 'now', { get: () => (now += 333) })
    const body = new URLSearchParams({ username: 'admin', password: 'changeme' })
    for (let round = 0; round < 5; round++) {
      const response = await ticking.call('/auth/login', { method: 'POST', body })
      expect(await response.json()).toMatchObject({ expires_in: 1800 })
    }
    const { apiKey } = await createApiKey(ticking.deps, 'test', { name: 'x', roles: ['y'], days: 3 })
    expect(Number(apiKey.expires_at) - Number(apiKey.created_at)).toBe(3 * 86_400_000)
    await ticking.close()
  })

  test('login finds usernames without regard to case', async () => {
    const me = await (await application.me(await application.accessToken('ADMIN'))).json()
    expect(me).toMatchObject({ username: 'admin' })
  })

  test.each([
    ['grant_type=password&username=admin&password=changeme'],
    ['username=admin&password=changeme&scope=&client_id=&client_secret='],
    ['username=admin&password=changeme&scope=openid+profile&client_id=web&client_secret=s'],
    ['username=admin&password=changeme&remember_me=1'],
  ])('login accepts the OAuth 2.0 password form %s', async (body) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await application.call('/auth/login', { method: 'POST', body, headers })).status).toBe(200)
  })

  test('login accepts multipart/form-data', async () => {
    const body = new FormData()
    body.set('username', 'admin')
    body.set('password', 'changeme')
    expect((await application.call('/auth/login', { method: 'POST', body })).status).toBe(200)
  })

  test('me returns exactly four fields', async () => {
    const response = await application.me(await application.accessToken())
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const text = await response.text()
    const { id } = JSON.parse(text)
    expect(id).toMatch(uuid)
    expect(text).toBe(`{"id":"${id}","username":"admin","full_name":"Default Admin","is_active":true}`)
  })

  test('login returns the same response for a wrong password, an unknown user and an inactive user', async () => {
    await application.sql(`INSERT INTO users (username, hashed_password, full_name, is_active)
      SELECT 'sleeper', hashed_password, 'Sleeper', false FROM users WHERE username = 'admin'`)
    const responses = await Promise.all([
      application.login('admin', 'wrong'),
      application.login('unknown', 'changeme'),
      application.login('two words', 'changeme'),
      application.login('n'.repeat(60), 'changeme'),
      application.login('sleeper', 'changeme'),
    ])
    for (const response of responses) {
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      expect(response.headers.get('content-type')).toBe('application/json')
      const body = (await response.json()) as { request_id: string }
      expect(body).toEqual({
        type: 'urn:audittrail:problem:invalid_credentials',
        title: 'Unauthorized',
        status: 401,
        detail: 'Incorrect username or password',
        request_id: body.request_id,
        error: 'invalid_grant',
      } as never)
    }
    const failures = application.lines.filter((line) => line.event === 'login.failed')
    expect(failures.map((line) => line.reason).sort()).toEqual([
      'inactive_user',
      'unknown_user',
      'unknown_user',
      'unknown_user',
      'wrong_password',
    ])
    expect(failures.every((line) => line.address === '192.0.2.7')).toBe(true)
  })

  test.each([
    ['no token', undefined],
    ['another scheme', 'Basic YWRtaW46Y2hhbmdlbWU='],
    ['a scheme without a token', 'Bearer'],
    ['nonsense', 'Bearer nonsense'],
    ['two tokens', 'Bearer a.b.c, Bearer a.b.c'],
  ])('me returns 401 with %s', async (_what, authorization) => {
    const response = await application.call('/auth/me', authorization ? { headers: { authorization } } : {})
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(response.headers.get('content-type')).toBe('application/problem+json')
  })

  test('me accepts the Authorization scheme in any case', async () => {
    const token = await application.accessToken()
    expect((await application.call('/auth/me', { headers: { authorization: `bEARER ${token}` } })).status).toBe(200)
  })

  test('me ignores a token in the query or a cookie', async () => {
    const token = await application.accessToken()
    expect((await application.call(`/auth/me?access_token=${token}`)).status).toBe(401)
    expect((await application.call('/auth/me', { headers: { cookie: `access_token=${token}` } })).status).toBe(401)
  })

  test('me returns 401 for an expired token', async () => {
    const token = await application.accessToken()
    application.clock.now += 1800_000
    expect((await application.me(token)).status).toBe(401)
    application.clock.now -= 1800_000
    expect((await application.me(token)).status).toBe(200)
  })

  test('me rejects a disabled user on the next request, until enabled again', async () => {
    const token = await application.accessToken()
    await application.sql(`UPDATE users SET is_active = false WHERE username = 'admin'`)
    expect((await application.me(token)).status).toBe(401)
    await application.sql(`UPDATE users SET is_active = true WHERE username = 'admin'`)
    expect((await application.me(token)).status).toBe(200)
  })

  test('me rejects the token of a deleted user after the username is reused', async () => {
    const copy = (name: string) => `INSERT INTO users (username, hashed_password, full_name)
      SELECT '${name}', hashed_password, 'Reused' FROM users WHERE username = 'admin'`
    await application.sql(copy('reused'))
    const token = await application.accessToken('reused')
    expect((await application.me(token)).status).toBe(200)
    await application.sql(`DELETE FROM users WHERE username = 'reused'`)
    await application.sql(copy('reused'))
    expect((await application.me(token)).status).toBe(401)
  })

  test('me returns 401 for a token without a session', async () => {
    const token = await application.accessToken()
    await application.sql('DELETE FROM audittrail_sessions')
    expect((await application.me(token)).status).toBe(401)
  })

  test('login stores a session with address and user agent', async () => {
    const body = new URLSearchParams({ username: 'admin', password: 'changeme' })
    await application.call('/auth/login', {
      method: 'POST',
      body,
      headers: { 'user-agent': `agent ${'x'.repeat(300)}` },
      address: '2001:db8::5',
    })
    const [row] = await application.sql(
      `SELECT address, user_agent FROM audittrail_sessions WHERE address = '2001:db8::5'`,
    )
    expect(row).toEqual({ address: '2001:db8::5', user_agent: `agent ${'x'.repeat(250)}` })
  })

  test('login quarantines the seeded administrator: no roles, another audience', async () => {
    const token = await application.accessToken()
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toMatchObject({ aud: 'audittrail/password-change', roles: [], sub: 'admin' })
  })

  test('login accepts a password in any Unicode normalization form', async () => {
    const hash = await hashOf('pass\u00e9')
    await application.sql(
      `INSERT INTO users (username, hashed_password, full_name) VALUES ('renee', '${hash}', 'Ren\u00e9e')`,
    )
    expect((await application.login('renee', 'passe\u0301')).status).toBe(200)
  })

  test('login rejects a user with an unusable hash like a wrong password', async () => {
    const unusable = [
      '',
      'plain text',
      '$argon2id$v=19$m=2097152,t=3,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
      `$2b$31$${'a'.repeat(53)}`,
    ]
    for (const [index, hash] of unusable.entries()) {
      await application.sql(
        `INSERT INTO users (username, hashed_password, full_name) VALUES ('odd${index}', '${hash}', 'Odd')`,
      )
      expect((await application.login(`odd${index}`, 'changeme')).status).toBe(401)
    }
  })
})
