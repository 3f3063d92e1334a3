import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Algorithm } from '../../../src/algorithms.ts'
import { databaseKinds, hashOf, openTestApplication, type TestApplication } from '../../application.ts'

const good = 'a long enough pass phrase'
const inactive = '{"active":false}'

interface Grant {
  readonly access_token: string
  readonly refresh_token: string
}

describe.each(databaseKinds)('introspection on %s', (kind) => {
  let application: TestApplication
  let key: string
  beforeAll(async () => {
    application = await openTestApplication(kind, { issuer: 'https://auth.example.com' })
    const hash = await hashOf(good)
    for (const name of ['ada', 'bob', 'cleo', 'dan'])
      await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
        VALUES ('${name}', '${hash}', 'A', '{staff}')`)
    key = await application.apiKey({ name: 'gateway', scopes: ['introspect'], expires_at: null })
  })
  afterAll(() => application.close())

  const form = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    application.call(path, { method: 'POST', headers, body: new URLSearchParams(fields) })
  const introspect = (token: string, more: Record<string, string> = {}) =>
    form('/auth/introspect', { token, ...more }, { authorization: `Bearer ${key}` })
  const introspected = async (token: string, more?: Record<string, string>) => {
    const response = await introspect(token, more)
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    return response.text()
  }
  const signIn = async (username: string) =>
    (await (await form('/auth/login', { username, password: good, scope: 'offline_access' })).json()) as Grant
  const refresh = (token: string) => form('/auth/refresh', { refresh_token: token })
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

  test('returns the claims of an access token, with the current roles', async () => {
    const { access_token: token } = await signIn('ada')
    await application.sql("UPDATE users SET roles = '{staff,other}' WHERE username = 'ada'")
    const { sub, uid, sid, jti, iss, aud, iat, exp } = claimsOf(token)
    const expected = { sub, uid, sid, jti, iss, aud, iat, exp, username: 'ada', roles: ['staff', 'other'] }
    expect(JSON.parse(await introspected(token))).toEqual({ active: true, token_type: 'Bearer', ...expected })
    for (const hint of ['access_token', 'refresh_token', 'nonsense'])
      expect(JSON.parse(await introspected(token, { token_type_hint: hint }))).toMatchObject({ active: true })
  })

  test('returns the user of a refresh token, without audience and roles', async () => {
    const { access_token, refresh_token } = await signIn('ada')
    const { uid, sid } = claimsOf(access_token)
    expect(JSON.parse(await introspected(refresh_token))).toEqual({
      active: true,
      token_type: 'refresh_token',
      sub: 'ada',
      username: 'ada',
      uid,
      sid,
      iss: 'https://auth.example.com',
      iat: Math.floor(application.clock.now / 1000),
      exp: Math.floor(application.clock.now / 1000) + 14 * 86_400,
    })
  })

  test('returns the service, scopes and roles of an API key', async () => {
    const expires_at = new Date(application.clock.now + 60_000).toISOString()
    const other = await application.apiKey({ name: 'reports', scopes: ['users:read'], roles: ['staff'], expires_at })
    const now = Math.floor(application.clock.now / 1000)
    expect(JSON.parse(await introspected(other))).toEqual({
      active: true,
      token_type: 'Bearer',
      sub: 'service:reports',
      uid: expect.any(String),
      client_id: 'reports',
      jti: expect.any(String),
      roles: ['staff'],
      scope: 'users:read',
      iss: 'https://auth.example.com',
      aud: 'audittrail',
      iat: now,
      exp: now + 60,
    })
    const own = JSON.parse(await introspected(key))
    expect(own).toMatchObject({ client_id: 'gateway', scope: 'introspect', roles: [] })
    expect(own).not.toHaveProperty('exp')
    // Without a role, other services reject it, like /auth/verify.
    expect(own).not.toHaveProperty('aud')
    // RFC 6749 §3.3 has no empty scope.
    const unscoped = JSON.parse(await introspected(await application.apiKey({ roles: ['staff'] })))
    expect(unscoped).toMatchObject({ active: true, roles: ['staff'], aud: 'audittrail' })
    expect(unscoped).not.toHaveProperty('scope')
    application.clock.now += 60_000
    expect(await introspected(other)).toBe(inactive)
  })

  describe('{"active":false} without other fields', () => {
    const tokens: Record<string, () => Promise<string>> = {
      nonsense: async () => 'nonsense',
      'a JSON text': async () => '{"active":true}',
      'a very long text': async () => 'x'.repeat(60_000),
      'the prefix of a key': async () => 'atk_',
      'the prefix of a refresh token': async () => 'atr_AAAA',
      'a revoked key': async () => {
        const other = await application.apiKey({ scopes: ['introspect'] })
        await form('/auth/revoke', { token: other })
        return other
      },
      'an access token with a changed signature': async () => {
        const { access_token: token } = await signIn('bob')
        return `${token.slice(0, -5)}${token.at(-5) === 'A' ? 'B' : 'A'}${token.slice(-4)}`
      },
      'an access token after sign-out': async () => {
        const { access_token: token } = await signIn('bob')
        await application.call('/auth/logout', { method: 'POST', headers: { authorization: `Bearer ${token}` } })
        return token
      },
      'a refresh token after sign-out': async () => {
        const grant = await signIn('bob')
        const headers = { authorization: `Bearer ${grant.access_token}` }
        await application.call('/auth/logout', { method: 'POST', headers })
        return grant.refresh_token
      },
      'an access token of a disabled user': async () => {
        const { access_token: token } = await signIn('cleo')
        await application.sql("UPDATE users SET is_active = false WHERE username = 'cleo'")
        return token
      },
      'a refresh token of a disabled user': async () => {
        await application.sql("UPDATE users SET is_active = true WHERE username = 'cleo'")
        const grant = await signIn('cleo')
        await application.sql("UPDATE users SET is_active = false WHERE username = 'cleo'")
        return grant.refresh_token
      },
      'an access token of a deleted user': async () => {
        const { access_token: token } = await signIn('dan')
        await application.sql("DELETE FROM users WHERE username = 'dan'")
        return token
      },
      'the token of the seeded administrator with the default password': () => application.accessToken(),
      'an access token whose user must change the password': async () => {
        const { access_token: token } = await signIn('bob')
        await application.sql("UPDATE users SET must_change_password = true WHERE username = 'bob'")
        return token
      },
      'a refresh token whose user must change the password': async () => {
        await application.sql("UPDATE users SET must_change_password = false WHERE username = 'bob'")
        const grant = await signIn('bob')
        await application.sql("UPDATE users SET must_change_password = true WHERE username = 'bob'")
        return grant.refresh_token
      },
      'an expired access token': async () => {
        const { access_token: token } = await signIn('ada')
        application.clock.now += 1_800_000
        return token
      },
      'a refresh token after its idle timeout': async () => {
        const grant = await signIn('ada')
        application.clock.now += 14 * 86_400_000
        return grant.refresh_token
      },
    }
    test.each(Object.keys(tokens))('is returned for %s', async (what) => {
      expect(await introspected((await tokens[what]?.()) ?? '')).toBe(inactive)
    })
  })

  test('returns whether a refresh token can be used, without using it', async () => {
    const first = await signIn('ada')
    const second = (await (await refresh(first.refresh_token)).json()) as Grant
    // A refresh can be retried for ten seconds.
    application.clock.now += 10_000
    expect(JSON.parse(await introspected(first.refresh_token))).toMatchObject({ active: true })
    application.clock.now += 1
    expect(await introspected(first.refresh_token)).toBe(inactive)
    // Using it would have ended the session.
    expect(JSON.parse(await introspected(second.refresh_token))).toMatchObject({ active: true })
    const third = (await (await refresh(second.refresh_token)).json()) as Grant
    expect(JSON.parse(await introspected(third.access_token))).toMatchObject({ active: true })
    expect(await introspected(first.refresh_token)).toBe(inactive)
    expect((await refresh(third.refresh_token)).status).toBe(200)
  })
})

describe.each(['EdDSA', 'ES256', 'RS256'] as const)('with %s', (algorithm: Algorithm) => {
  test('introspection accepts signed tokens and is in the metadata', async () => {
    const application = await openTestApplication('PostgreSQL', { algorithm, issuer: 'https://auth.example.com' })
    await application.sql('UPDATE users SET must_change_password = false')
    const token = await application.accessToken()
    const key = await application.apiKey({ scopes: ['introspect'] })
    const response = await application.call('/auth/introspect', {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: new URLSearchParams({ token }),
    })
    expect(await response.json()).toMatchObject({ active: true, username: 'admin', roles: ['admin'] })
    const metadata = await application.call('/.well-known/oauth-authorization-server')
    expect(await metadata.json()).toMatchObject({
      introspection_endpoint: 'https://auth.example.com/api/auth/introspect',
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'Bearer'],
    })
    await application.close()
  })
})
