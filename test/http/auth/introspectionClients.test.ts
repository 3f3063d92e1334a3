import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, hashOf, openTestApplication, type TestApplication } from '../../application.ts'

const good = 'a long enough pass phrase'
const inactive = '{"active":false}'

interface Grant {
  readonly access_token: string
  readonly refresh_token: string
}

describe.each(databaseKinds)('introspection clients on %s', (kind) => {
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
  const signIn = async (username: string) =>
    (await (await form('/auth/login', { username, password: good, scope: 'offline_access' })).json()) as Grant

  const basic = (name: string, secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
  const introspectAs = (authorization: string) =>
    form('/auth/introspect', { token: 'x' }, authorization === '' ? {} : { authorization })

  test('accept an API key as a bearer token or a form-urlencoded client secret (RFC 6749 §2.3.1)', async () => {
    const encoded = key.replace('_', '%5F')
    for (const authorization of [`bearer ${key}`, basic('gateway', key), basic('any%3Aname', encoded), basic('', key)])
      expect(await (await introspectAs(authorization)).text()).toBe(inactive)
  })

  test.each([
    ['no credentials', () => ''],
    ['a client with a wrong secret', () => basic('gateway', 'atk_nonsense')],
    ['a client without a secret', () => basic('gateway', '')],
    ['a client with a broken escape', () => basic('gateway', '%zz')],
    ['invalid base64', () => 'Basic %%%'],
    ['base64 followed by other text', () => `${basic('gateway', key)} x`],
    ['two credentials, as from two headers', () => `${basic('gateway', key)}, ${basic('gateway', key)}`],
    ['base64 with an invalid character', () => basic('gateway', key).replace('Basic ', 'Basic !')],
    ['an empty client id and secret', () => 'Basic Og=='],
    ['a mistyped API key', () => `Bearer ${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`],
  ])('are rejected with %s, as an OAuth error', async (_what, authorization) => {
    const response = await introspectAs(authorization())
    expect(response.status).toBe(401)
    expect(response.headers.get('content-type')).toBe('application/json')
    const scheme = authorization().startsWith('Basic') ? 'Basic realm="audittrail"' : 'Bearer'
    expect(response.headers.get('www-authenticate')).toBe(scheme)
    expect(await response.json()).toMatchObject({ error: 'invalid_client', status: 401 })
  })

  test('are rejected with a user token or another scope', async () => {
    expect((await introspectAs(`Bearer ${(await signIn('ada')).access_token}`)).status).toBe(403)
    expect((await introspectAs(`Bearer ${(await signIn('ada')).refresh_token}`)).status).toBe(401)
    const other = await application.apiKey({ scopes: ['users:read', 'users:write'], roles: ['admin'] })
    const response = await introspectAs(`Bearer ${other}`)
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({ error: 'unauthorized_client' })
  })

  test('must send a form with one token', async () => {
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
