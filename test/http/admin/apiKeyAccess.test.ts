import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createApiKeyCalls, insertUsers, type ListedApiKey } from '../apiKeyCalls.ts'

describe.each(databaseKinds)('an API key on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
    await insertUsers(application)
  })
  afterAll(() => application.close())

  const { asBoss, call, find, make } = createApiKeyCalls(() => application)

  test('is rejected from the millisecond of its expiry', async () => {
    const expires_at = new Date(application.clock.now + 1000).toISOString()
    const key = await application.apiKey({ scopes: ['users:read'], roles: ['staff'], expires_at })
    application.clock.now += 999
    expect((await call('GET', '/users', key)).status).toBe(200)
    application.clock.now += 1
    expect((await call('GET', '/users', key)).status).toBe(401)
    expect((await call('GET', '/auth/verify', key)).status).toBe(401)
  })

  test('is rejected from the request after its revocation', async () => {
    const { id, key } = await make({ name: 'gone', scopes: ['users:read'], roles: ['staff'] })
    expect((await call('GET', '/auth/verify?role=staff', key)).status).toBe(204)
    expect((await asBoss('DELETE', `/api-keys/${id}`)).status).toBe(204)
    expect((await call('GET', '/auth/verify?role=staff', key)).status).toBe(401)
    expect((await call('GET', '/users', key)).status).toBe(401)
    expect((await asBoss('DELETE', `/api-keys/${id}`)).status).toBe(404)
    expect(await find(id)).toBeUndefined()
    // The list still has what it was and who revoked it.
    const all = (await (await asBoss('GET', '/api-keys?limit=100&revoked=true')).json()) as { items: ListedApiKey[] }
    expect(all.items.find((apiKey) => apiKey.id === id)).toMatchObject({
      name: 'gone',
      scopes: ['users:read'],
      revoked_at: new Date(application.clock.now).toISOString(),
      revoked_by: 'boss',
    } as never)
  })

  test('can be revoked at /auth/revoke by anyone who finds it', async () => {
    const { id, key } = await make({ name: 'found', scopes: ['users:read'] })
    const revoke = (token: string) =>
      application.call('/auth/revoke', { method: 'POST', body: new URLSearchParams({ token }) })
    // A mistyped key revokes nothing.
    expect((await revoke(`${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`)).status).toBe(200)
    expect((await call('GET', '/users', key)).status).toBe(200)
    expect((await revoke(key)).status).toBe(200)
    expect((await call('GET', '/users', key)).status).toBe(401)
    expect(application.lines.findLast(({ event }) => event === 'api_key.revoked')).toMatchObject({
      api_key: id,
      service: 'found',
      by: 'its holder',
    })
  })

  test('identifies its service to upstreams, with its roles', async () => {
    const { key, service_id } = await make({ name: 'boss', roles: ['staff', 'admin'] })
    const response = await call('GET', '/auth/verify?role=other&role=staff', key)
    expect(response.status).toBe(204)
    const identity = [...response.headers].filter(([name]) => name.startsWith('x-auth'))
    expect(Object.fromEntries(identity)).toEqual({
      'x-auth-user': 'service:boss',
      'x-auth-user-id': service_id,
      'x-auth-roles': 'staff,admin',
    })
    expect((await call('GET', '/auth/verify?role=other', key)).status).toBe(403)
    // Roles are for other services; they give no access to AuditTrail.
    for (const path of ['/users', '/blocks', '/api-keys', '/audit/events'])
      expect([401, 403]).toContain((await call('GET', path, key)).status)
  })

  test('is only read from the Authorization header', async () => {
    const key = await application.apiKey({ scopes: ['users:read'], roles: ['staff'] })
    const places: readonly (readonly [string, Record<string, string>])[] = [
      [`?api_key=${key}`, {}],
      [`?access_token=${key}`, {}],
      ['', { 'x-api-key': key }],
      ['', { cookie: `audittrail_device=${key}; api_key=${key}` }],
      ['', { authorization: key }],
      ['', { authorization: `Token ${key}` }],
      ['', { authorization: `ApiKey ${key}` }],
      ['', { authorization: `Bearer ${key},${key}` }],
      ['', { authorization: `Basic ${Buffer.from(`x:${key}`).toString('base64')}` }],
    ]
    for (const [query, headers] of places)
      expect((await application.call(`/users${query}`, { headers })).status).toBe(401)
  })

  test('cannot create, change or renew API keys', async () => {
    const everything = { scopes: ['introspect', 'users:read', 'users:write', 'audit:read'], roles: ['admin'] }
    const { id, key } = await make({ name: 'climber', ...everything })
    const before = await find(id)
    for (const [method, path] of [
      ['POST', '/api-keys'],
      ['GET', '/api-keys'],
      ['DELETE', `/api-keys/${id}`],
    ] as const)
      expect((await call(method, path, key, method === 'POST' ? { name: 'x', ...everything } : undefined)).status).toBe(
        401,
      )
    for (const method of ['PATCH', 'PUT', 'POST'])
      expect((await call(method, `/api-keys/${id}`, key, { expires_at: null })).status).toBe(405)
    // An administrator cannot change a key either.
    expect((await asBoss('PATCH', `/api-keys/${id}`, { expires_at: null })).status).toBe(405)
    expect({ ...(await find(id)), last_used_at: null }).toEqual({ ...before, last_used_at: null } as never)
  })
})
