import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Algorithm } from '../../../src/algorithms.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

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
    const hash = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 })
    for (const name of ['ada', 'bob', 'cleo', 'dan'])
      await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
        VALUES ('${name}', '${hash}', 'A', '{staff}')`)
    key = await application.apiKey({ name: 'gateway', scopes: ['introspect'], expires_at: null })
  })
  afterAll(() => application.close())

  const form = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    application.call(path, { method: 'POST', headers, body: new URLSearchParams(fields) })
  const ask = (token: string, more: Record<string, string> = {}) =>
    form('/auth/introspect', { token, ...more }, { authorization: `Bearer ${key}` })
  const asked = async (token: string, more?: Record<string, string>) => {
    const response = await ask(token, more)
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    return response.text()
  }
  const signIn = async (username: string) =>
    (await (await form('/auth/login', { username, password: good, scope: 'offline_access' })).json()) as Grant
  const refresh = (token: string) => form('/auth/refresh', { refresh_token: token })
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

  test('tells of an access token what it says itself, with the roles of this moment', async () => {
    const { access_token: token } = await signIn('ada')
    await application.sql("UPDATE users SET roles = '{staff,other}' WHERE username = 'ada'")
    const { sub, uid, sid, jti, iss, aud, iat, exp } = claimsOf(token)
    const expected = { sub, uid, sid, jti, iss, aud, iat, exp, username: 'ada', roles: ['staff', 'other'] }
    expect(JSON.parse(await asked(token))).toEqual({ active: true, token_type: 'Bearer', ...expected })
    for (const hint of ['access_token', 'refresh_token', 'nonsense'])
      expect(JSON.parse(await asked(token, { token_type_hint: hint }))).toMatchObject({ active: true })
  })

  test('tells of a refresh token whose it is, and nothing by which it could pass for an access token', async () => {
    const { access_token, refresh_token } = await signIn('ada')
    const { uid, sid } = claimsOf(access_token)
    expect(JSON.parse(await asked(refresh_token))).toEqual({
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

  test('tells of an API key whose it is and what it opens, its own among them', async () => {
    const expires_at = new Date(application.clock.now + 60_000).toISOString()
    const other = await application.apiKey({ name: 'reports', scopes: ['users:read'], roles: ['staff'], expires_at })
    const now = Math.floor(application.clock.now / 1000)
    expect(JSON.parse(await asked(other))).toEqual({
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
    const own = JSON.parse(await asked(key))
    expect(own).toMatchObject({ client_id: 'gateway', scope: 'introspect', roles: [] })
    expect(own).not.toHaveProperty('exp')
    // Without a role it opens no other service, here as at /auth/verify.
    expect(own).not.toHaveProperty('aud')
    // RFC 6749 §3.3 knows no empty scope.
    const unscoped = JSON.parse(await asked(await application.apiKey({ roles: ['staff'] })))
    expect(unscoped).toMatchObject({ active: true, roles: ['staff'], aud: 'audittrail' })
    expect(unscoped).not.toHaveProperty('scope')
    application.clock.now += 60_000
    expect(await asked(other)).toBe(inactive)
  })

  describe('is {"active":false} and nothing more', () => {
    const tokens: Record<string, () => Promise<string>> = {
      nonsense: async () => 'nonsense',
      'a JSON text': async () => '{"active":true}',
      'a very long one': async () => 'x'.repeat(60_000),
      'the prefix of a key': async () => 'atk_',
      'the prefix of a refresh token': async () => 'atr_AAAA',
      'a revoked key': async () => {
        const other = await application.apiKey({ scopes: ['introspect'] })
        await form('/auth/revoke', { token: other })
        return other
      },
      'an access token whose signature is another': async () => {
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
      'an access token of a user who was deleted': async () => {
        const { access_token: token } = await signIn('dan')
        await application.sql("DELETE FROM users WHERE username = 'dan'")
        return token
      },
      'the token of the seeded administrator with the default password': () => application.accessToken(),
      'an access token whose user must change the password since': async () => {
        const { access_token: token } = await signIn('bob')
        await application.sql("UPDATE users SET must_change_password = true WHERE username = 'bob'")
        return token
      },
      'a refresh token whose user must change the password since': async () => {
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
      'a refresh token that has lain idle too long': async () => {
        const grant = await signIn('ada')
        application.clock.now += 14 * 86_400_000
        return grant.refresh_token
      },
    }
    test.each(Object.keys(tokens))('for %s', async (what) => {
      expect(await asked((await tokens[what]?.()) ?? '')).toBe(inactive)
    })
  })

  test('says of a refresh token what using it would come to, and asking uses nothing up', async () => {
    const first = await signIn('ada')
    const second = (await (await refresh(first.refresh_token)).json()) as Grant
    // A lost answer may be asked for again, for ten seconds.
    application.clock.now += 10_000
    expect(JSON.parse(await asked(first.refresh_token))).toMatchObject({ active: true })
    application.clock.now += 1
    expect(await asked(first.refresh_token)).toBe(inactive)
    // Used, it would have ended the session.
    expect(JSON.parse(await asked(second.refresh_token))).toMatchObject({ active: true })
    const third = (await (await refresh(second.refresh_token)).json()) as Grant
    expect(JSON.parse(await asked(third.access_token))).toMatchObject({ active: true })
    expect(await asked(first.refresh_token)).toBe(inactive)
    expect((await refresh(third.refresh_token)).status).toBe(200)
  })

  describe('asks who asks', () => {
    const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
    const askAs = (authorization: string) =>
      form('/auth/introspect', { token: 'x' }, authorization === '' ? {} : { authorization })

    test('takes the key as a bearer token and as the secret of a client, form-urlencoded as RFC 6749 has it', async () => {
      const encoded = key.replace('_', '%5F')
      for (const authorization of [
        `bearer ${key}`,
        basic('gateway', key),
        basic('any%3Aname', encoded),
        basic('', key),
      ])
        expect(await (await askAs(authorization)).text()).toBe(inactive)
    })

    test.each([
      ['nobody', () => ''],
      ['a client with a wrong secret', () => basic('gateway', 'atk_nonsense')],
      ['a client without a secret', () => basic('gateway', '')],
      ['a client with a broken escape', () => basic('gateway', '%zz')],
      ['broken base64', () => 'Basic %%%'],
      ['base64 with something behind it', () => `${basic('gateway', key)} x`],
      ['two credentials, as two headers are joined', () => `${basic('gateway', key)}, ${basic('gateway', key)}`],
      ['base64 with another character in it', () => basic('gateway', key).replace('Basic ', 'Basic !')],
      ['a client without a name and a secret', () => 'Basic Og=='],
      ['a key with an error', () => `Bearer ${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`],
    ])('refuses %s as an OAuth client reads it', async (_what, authorization) => {
      const response = await askAs(authorization())
      expect(response.status).toBe(401)
      expect(response.headers.get('content-type')).toBe('application/json')
      const scheme = authorization().startsWith('Basic') ? 'Basic realm="audittrail"' : 'Bearer'
      expect(response.headers.get('www-authenticate')).toBe(scheme)
      expect(await response.json()).toMatchObject({ error: 'invalid_client', status: 401 })
    })

    test("refuses a user's token and a key of another scope", async () => {
      expect((await askAs(`Bearer ${(await signIn('ada')).access_token}`)).status).toBe(403)
      expect((await askAs(`Bearer ${(await signIn('ada')).refresh_token}`)).status).toBe(401)
      const other = await application.apiKey({ scopes: ['users:read', 'users:write'], roles: ['admin'] })
      const response = await askAs(`Bearer ${other}`)
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ error: 'unauthorized_client' })
    })

    test('wants a form with one token in it', async () => {
      const headers = { authorization: `Bearer ${key}` }
      for (const body of ['', 'token=', 'token=a&token=b', 'token_type_hint=access_token'])
        expect(
          (
            await application.call('/auth/introspect', {
              method: 'POST',
              headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
              body,
            })
          ).status,
        ).toBe(400)
      const json = { ...headers, 'content-type': 'application/json' }
      expect(
        (await application.call('/auth/introspect', { method: 'POST', headers: json, body: '{"token":"x"}' })).status,
      ).toBe(415)
      expect((await application.call('/auth/introspect?token=x', { headers })).status).toBe(405)
    })
  })
})

describe.each(['EdDSA', 'ES256', 'RS256'] as const)('with %s', (algorithm: Algorithm) => {
  test('introspection knows the tokens of each key, and the metadata has its place', async () => {
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
