import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createApiKeyCalls, insertUsers, type ListedApiKey } from '../apiKeyCalls.ts'

const day = 86_400_000

describe.each(databaseKinds)('creating an API key on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
    await insertUsers(application)
  })
  afterAll(() => application.close())

  const { asBoss, call, find, listed, make } = createApiKeyCalls(() => application)

  test('returns the key once; it expires in a year by default', async () => {
    const { key, ...created } = await make({ name: 'reports', scopes: ['users:read'], roles: ['staff', 'staff'] })
    const created_at = new Date(application.clock.now).toISOString()
    expect(created).toEqual({
      id: expect.any(String),
      name: 'reports',
      service_id: expect.any(String),
      scopes: ['users:read'],
      roles: ['staff'],
      created_by: 'boss',
      created_at,
      expires_at: new Date(application.clock.now + 365 * day).toISOString(),
      last_used_at: null,
      revoked_at: null,
      revoked_by: null,
    } as never)
    expect(await find(created.id)).toEqual(created as never)
    expect((await call('GET', '/users', key)).status).toBe(200)
  })

  test('accepts a time of expiry, or none', async () => {
    const zoned = await make({ name: 'a', roles: ['x'], expires_at: '2099-01-31T08:00:00+02:00' })
    expect(zoned.expires_at).toBe('2099-01-31T06:00:00.000Z')
    expect((await make({ name: 'a', roles: ['x'], expires_at: null })).expires_at).toBeNull()
  })

  test('reuses the id of a service, whose name is not case-sensitive', async () => {
    const first = await make({ name: 'Billing', roles: ['x'] })
    const second = await make({ name: 'bILLING', roles: ['y'] })
    expect(second).toMatchObject({ name: 'Billing', service_id: first.service_id })
    expect(second.key).not.toBe(first.key)
    for (const { id } of [first, second]) expect((await asBoss('DELETE', `/api-keys/${id}`)).status).toBe(204)
    expect((await make({ name: 'billing', roles: ['x'] })).service_id).toBe(first.service_id)
  })

  test('creates fifty keys at once for one service', async () => {
    const token = await application.accessToken('boss', good)
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => call('POST', '/api-keys', token, { name: 'crowd', roles: ['x'] })),
    )
    const created = (await Promise.all(responses.map((response) => response.json()))) as ListedApiKey[]
    expect(new Set(created.map(({ service_id }) => service_id)).size).toBe(1)
    expect(new Set(created.map(({ key }) => key)).size).toBe(50)
  })

  test.each([
    [{ name: '' }, 'name'],
    [{ name: 'a b' }, 'name'],
    [{ name: 'service:x' }, 'name'],
    [{ name: 'x'.repeat(51) }, 'name'],
    [{ name: 'Zoë' }, 'name'],
    // The command line would read these as a flag and as the id of a key.
    [{ name: '--json' }, 'name'],
    [{ name: '5B0f2a7e-5f0e-4c55-8d59-0b8c2c7a9a10' }, 'name'],
    [{ scopes: ['users'] }, 'scopes'],
    [{ scopes: ['users:read', 'admin'] }, 'scopes'],
    [{ scopes: ['users:read users:write'] }, 'scopes'],
    [{ scopes: [], roles: [] }, 'scopes'],
    [{ roles: ['Staff'] }, 'roles'],
    [{ roles: ['a,b'] }, 'roles'],
    [{ roles: Array.from({ length: 33 }, (_, index) => `r${index}`) }, 'roles'],
    [{ expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    [{ expires_at: 'tomorrow' }, 'expires_at'],
    [{ expires_at: '2099-02-30T00:00:00' }, 'expires_at'],
    [{ expires_at: '2099-13-01T00:00:00Z' }, 'expires_at'],
    [{ expires_at: '2099-02-30T00:00:00Z' }, 'expires_at'],
    [{ expires_at: '2099-01-31T24:00:00Z' }, 'expires_at'],
    [{ expires_at: '2099-01-31T08:00:00+24:00' }, 'expires_at'],
    // In UTC its year has five digits, which PostgreSQL does not read in JavaScript's format.
    [{ expires_at: '9999-12-31T23:59:59-01:00' }, 'expires_at'],
    [{ expires_at: '' }, 'expires_at'],
    [{ expires_at: 4070908800 }, 'expires_at'],
    [{ scopes: 'users:read' }, 'scopes'],
  ])('rejects %j and names the invalid field', async (invalid, field) => {
    const response = await asBoss('POST', '/api-keys', { name: 'invalid', scopes: ['introspect'], ...invalid })
    expect(response.status).toBe(422)
    const { errors } = (await response.json()) as { errors: { field: string }[] }
    expect(errors.map((error) => error.field.split('.')[0])).toContain(field)
    expect((await listed()).filter(({ name }) => name === 'invalid')).toEqual([])
  })

  test.each(['tomorrow', '2099-13-01T00:00:00Z', '2099-02-30T00:00:00Z', '2020-01-01T00:00:00Z'])(
    'rejects the expiry %s with an example of a valid one',
    async (expires_at) => {
      const response = await asBoss('POST', '/api-keys', { name: 'invalid', scopes: ['introspect'], expires_at })
      expect(((await response.json()) as { detail: string }).detail).toContain('such as 2030-01-31T08:00:00Z')
    },
  )

  test.each(['id', 'key', 'digest', 'service_id', 'created_at', 'last_used_at'])(
    'rejects a %s chosen by the caller',
    async (member) => {
      const draft = { name: 'invalid', scopes: ['introspect'], [member]: 'x' }
      expect((await asBoss('POST', '/api-keys', draft)).status).toBe(422)
    },
  )

  test('lists keys in pages, newest first, each once', async () => {
    for (let index = 0; index < 5; index++) {
      application.clock.now += index % 2
      await application.apiKey({ name: `page-${index}`, roles: ['x'] })
    }
    const all = (await listed()).map(({ id }) => id)
    const seen: string[] = []
    let after = ''
    do {
      const page = (await (await asBoss('GET', `/api-keys?limit=3${after}`)).json()) as {
        items: ListedApiKey[]
        next: string | null
      }
      seen.push(...page.items.map(({ id }) => id))
      after = page.next === null ? '' : `&after=${page.next}`
    } while (after !== '')
    expect(seen).toEqual(all)
    expect((await asBoss('GET', '/api-keys?after=nonsense')).status).toBe(422)
  })

  test.each(['/api-keys', '/blocks'])('%s rejects a cursor with an invalid time', async (path) => {
    const id = crypto.randomUUID()
    for (const moment of ['0000-01-01T00:00:00.000Z', '2026-02-30T00:00:00.000Z', '2026-01-01T24:00:00.000Z']) {
      const after = Buffer.from(`${moment} ${id}`).toString('base64url')
      expect((await asBoss('GET', `${path}?after=${after}`)).status).toBe(422)
    }
  })
})
