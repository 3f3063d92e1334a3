import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, hashOf, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'

describe.each(databaseKinds)('GET /auth/session on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
    const hash = await hashOf(good)
    await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
      VALUES ('Ada', '${hash}', 'Ada Lovelace', '{billing,staff}')`)
  })
  afterAll(() => application.close())

  const session = (token: string, init: RequestInit = {}) =>
    application.call('/auth/session', { ...init, headers: { authorization: `Bearer ${token}` } })
  const signIn = async (scope = '') => {
    const body = new URLSearchParams({ username: 'ada', password: good, scope })
    const response = await application.call('/auth/login', { method: 'POST', body })
    return (await response.json()) as { access_token: string; refresh_token: string }
  }

  test('returns exactly the user, the roles, must_change_password and the end of the session', async () => {
    const token = await application.accessToken('ada', good)
    const response = await session(token)
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await response.json()).toEqual({
      user: await (await application.me(token)).json(),
      roles: ['billing', 'staff'],
      must_change_password: false,
      expires_at: new Date((Math.floor(application.clock.now / 1000) + 1800) * 1000).toISOString(),
    } as never)
  })

  test('returns the end of a session with a refresh token, which each refresh moves', async () => {
    const first = await signIn('offline_access')
    const days = 14 * 86_400_000
    const ofFirst = application.clock.now + days
    expect(await (await session(first.access_token)).json()).toMatchObject({
      expires_at: new Date(ofFirst).toISOString(),
    })
    application.clock.now += 60_000
    const body = new URLSearchParams({ refresh_token: first.refresh_token })
    const refreshed = await application.call('/auth/refresh', { method: 'POST', body })
    const { access_token } = (await refreshed.json()) as { access_token: string }
    const { expires_at } = (await (await session(access_token)).json()) as { expires_at: string }
    expect(Date.parse(expires_at)).toBeGreaterThanOrEqual(ofFirst + 60_000 - 5000)
    application.clock.now -= 60_000
  })

  test('reports a quarantined user, who has no roles until the password is changed', async () => {
    const response = await session(await application.accessToken())
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      user: { username: 'admin', full_name: 'Default Admin', is_active: true },
      roles: [],
      must_change_password: true,
    })
  })

  test('reports a change of roles on the next request', async () => {
    const token = await application.accessToken('ada', good)
    await application.sql(`UPDATE users SET roles = '{reports}' WHERE username = 'Ada'`)
    expect(await (await session(token)).json()).toMatchObject({ roles: ['reports'] })
  })

  test('returns 401 without a token, with an API key and after the end of the session', async () => {
    expect((await application.call('/auth/session')).status).toBe(401)
    expect((await session(await application.apiKey({ scopes: ['users:read'] }))).status).toBe(401)
    const token = await application.accessToken('ada', good)
    await application.call('/auth/logout', { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    expect((await session(token)).status).toBe(401)
  })

  test('answers HEAD, and 405 with Allow to other methods', async () => {
    expect((await session(await application.accessToken('ada', good), { method: 'HEAD' })).status).toBe(200)
    const response = await application.call('/auth/session', { method: 'PUT' })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')?.split(', ').sort()).toEqual(['DELETE', 'GET', 'HEAD', 'POST'])
  })
})
