import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'
import { sequence } from './auditLog.ts'

interface Activity {
  readonly time: string
  readonly type: string
  readonly by: Readonly<Record<string, string | boolean | null>>
  readonly about: Readonly<Record<string, string | boolean | null>> | null
  readonly session: string | null
  readonly request: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

interface Page {
  readonly items: readonly Activity[]
  readonly next: string | null
}

const adminAddress = '203.0.113.99'

describe.each(databaseKinds)('the activity of a user on %s', (kind) => {
  let application: TestApplication
  let boss: { username: string; id: string; token: string }
  let carol: { username: string; id: string }
  let token: string
  beforeAll(async () => {
    application = await openTestApplication(kind)
    boss = await accounts.makeAdministrator()
    carol = await accounts.makeUser()
    const asBoss = (method: string, path: string, body?: unknown) =>
      application.call(path, {
        method,
        headers: {
          authorization: `Bearer ${boss.token}`,
          'user-agent': 'AdminBrowser',
          'x-request-id': 'admin-request',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        address: adminAddress,
      })
    await asBoss('PATCH', `/users/${carol.id}`, { roles: ['billing'] })
    await asBoss('DELETE', `/users/${carol.id}/sessions`)
    await asBoss('POST', '/api-keys', { name: 'machine', roles: ['staff'] })
    const writer = await application.apiKey({ scopes: ['users:write'] })
    await accounts.json('PATCH', `/users/${carol.id}`, writer, { full_name: 'Carol' })
    await application.call('/auth/login', {
      method: 'POST',
      body: new URLSearchParams({ username: carol.username, password: 'wrong' }),
      address: '203.0.113.66',
    })
    token = await application.accessToken(carol.username, good)
    await sequence(application)
  })
  afterAll(() => application.close())

  const accounts = createAccounts(() => application)
  const page = async (query = '', as = token): Promise<Page> => {
    const response = await accounts.json('GET', `/auth/activity${query}`, as)
    expect(response.status).toBe(200)
    return (await response.json()) as Page
  }

  test('is what the user did and what was done to the account, newest first', async () => {
    const { items, next } = await page()
    expect(items.map(({ type }) => type)).toEqual([
      'login.succeeded',
      'login.failed',
      'user.changed',
      'sessions.ended',
      'user.roles_changed',
    ])
    expect(next).toBeNull()
    expect(items[0]).toMatchObject({
      by: { kind: 'user', id: carol.id, username: carol.username, address: '192.0.2.7' },
      about: { id: carol.id },
    })
    expect(items[0]?.session).toMatch(/^[0-9a-f-]{36}$/)
    expect(items[0]?.request).not.toBeNull()
  })

  test('has of another actor only the kind and the username', async () => {
    const { items } = await page()
    const others = items.filter(({ by }) => by.id !== carol.id)
    const nothing = { id: null, full_name: null, address: null, user_agent: null, erased: false }
    expect(others.map(({ by }) => by)).toEqual([
      { ...nothing, kind: 'anonymous', username: null },
      { ...nothing, kind: 'api_key', username: 'service:machine' },
      { ...nothing, kind: 'user', username: boss.username },
      { ...nothing, kind: 'user', username: boss.username },
    ])
    for (const { session, request } of others) expect([session, request]).toEqual([null, null])
    expect(others.map(({ facts }) => facts)).toEqual([
      {},
      { fields: ['full_name'], roles: ['billing'], is_active: true },
      { ended: 0 },
      { fields: ['roles'], roles: ['billing'], is_active: true },
    ])
    const text = JSON.stringify(items)
    for (const secret of [adminAddress, 'AdminBrowser', 'admin-request', boss.id, '203.0.113.66', 'wrong_password'])
      expect(text).not.toContain(secret)
  })

  test('does not have the events of others, or tell how many there are', async () => {
    const { items } = await page()
    expect(items.every(({ by, about }) => by.id === carol.id || about?.id === carol.id)).toBe(true)
    for (const item of items) expect(Object.keys(item)).not.toContain('index')
    const first = await page('?limit=1')
    const [cursor = ''] = [first.next ?? undefined]
    expect(Buffer.from(cursor, 'base64url').toString('latin1')).not.toMatch(/^\d+$/)
    const other = await accounts.makeUser()
    expect(await page('', await application.accessToken(other.username, good))).toEqual({ items: [], next: null })
  })

  test('is returned in pages, each record once', async () => {
    const all = await page()
    const seen: Activity[] = []
    for (let after: string | null = ''; after !== null; ) {
      const { items, next } = await page(`?limit=2${after === '' ? '' : `&after=${after}`}`)
      seen.push(...items)
      after = next
    }
    expect(seen).toEqual([...all.items])
  })

  test('has what an administrator did to others, for the administrator', async () => {
    const { items } = await page('?limit=3', boss.token)
    expect(items.map(({ type, by, about }) => [type, by.address, about?.kind])).toEqual([
      ['api_key.created', adminAddress, 'api_key'],
      ['sessions.ended', adminAddress, 'user'],
      ['user.roles_changed', adminAddress, 'user'],
    ])
  })

  test.each([
    'x',
    '',
    'AA',
    Buffer.from('3').toString('base64url'),
    Buffer.alloc(16).toString('base64url'),
    '_'.repeat(22),
  ])('with the cursor %p returns 422', async (after) => {
    expect((await accounts.json('GET', `/auth/activity?after=${after}`, token)).status).toBe(422)
  })

  test('is not stored by caches', async () => {
    expect((await accounts.json('GET', '/auth/activity', token)).headers.get('cache-control')).toBe('no-store')
  })
})
