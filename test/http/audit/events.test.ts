import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts } from '../accounts.ts'
import { fill, sequence } from './auditLog.ts'

interface Event {
  readonly index: number
  readonly time: string
  readonly type: string
  readonly outcome: string
  readonly by: Readonly<Record<string, string | null>>
  readonly about: Readonly<Record<string, string | null>> | null
  readonly session: string | null
  readonly request: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

interface Page {
  readonly items: readonly Event[]
  readonly next: string | null
}

describe.each(databaseKinds)('audit events on %s', (kind) => {
  let application: TestApplication
  let token: string
  let carol: { username: string; id: string }
  let boss: { username: string; id: string; token: string }
  beforeAll(async () => {
    application = await openTestApplication(kind)
    boss = await accounts.makeAdministrator()
    token = boss.token
    carol = await accounts.makeUser()
  })
  afterAll(() => application.close())

  const accounts = createAccounts(() => application)
  const get = async (query = ''): Promise<Page> => {
    await sequence(application)
    const response = await accounts.json('GET', `/audit/events${query}`, token)
    expect(response.status).toBe(200)
    return (await response.json()) as Page
  }
  const walk = async (query: string): Promise<readonly Event[]> => {
    const all: Event[] = []
    for (let after = ''; ; ) {
      const { items, next } = await get(`?${query}${after}`)
      all.push(...items)
      if (next === null) return all
      after = `&after=${next}`
    }
  }
  const indexesOf = (events: readonly Event[]) => events.map(({ index }) => index)

  test('have their actor, subject, session, request and facts', async () => {
    await application.call(`/users/${carol.id}`, {
      method: 'PATCH',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'x-request-id': 'the-request',
        'user-agent': 'Browser/1',
      },
      body: JSON.stringify({ roles: ['billing'] }),
      address: '198.51.100.9',
    })
    const { items } = await get('?limit=1')
    const [event] = items
    expect(event).toMatchObject({
      type: 'user.roles_changed',
      outcome: 'done',
      by: { kind: 'user', id: boss.id, username: boss.username, address: '198.51.100.9' },
      about: { kind: 'user', id: carol.id, username: carol.username, full_name: 'User', address: null },
      request: 'the-request',
      facts: { fields: ['roles'], roles: ['billing'], is_active: true },
    })
    expect(event?.session).toMatch(/^[0-9a-f-]{36}$/)
    expect(event?.time).toBe(new Date(application.clock.now).toISOString())
  })

  test('are filtered by each field, and by several at once', async () => {
    await accounts.signIn(carol.username)
    await application.login(carol.username, 'wrong password')
    const all = await walk('limit=7')
    expect(all.length).toBeGreaterThan(4)
    const expectFiltered = async (query: string, isKept: (event: Event) => boolean) => {
      const kept = indexesOf(all.filter(isKept))
      expect([query, indexesOf(await walk(query))]).toEqual([query, kept])
      expect(kept.length).toBeGreaterThan(0)
      expect(indexesOf(await walk(`${query}&limit=1`))).toEqual(kept)
      expect(indexesOf(await walk(`${query}&order=oldest&limit=2`))).toEqual(kept.toReversed())
    }
    const { id } = carol
    const isOf = ({ by, about }: Event) => by.id === id || about?.id === id
    await expectFiltered('outcome=refused', ({ outcome }) => outcome === 'refused')
    await expectFiltered('type=login.succeeded', ({ type }) => type === 'login.succeeded')
    await expectFiltered(`by=${id.toUpperCase()}`, ({ by }) => by.id === id)
    await expectFiltered(`about=${id}`, ({ about }) => about?.id === id)
    await expectFiltered(`user=${id}`, isOf)
    await expectFiltered(`user=${id}&outcome=done`, (event) => isOf(event) && event.outcome === 'done')
    await expectFiltered(
      `about=${id}&by=${boss.id}&type=user.roles_changed`,
      ({ by, about, type }) => about?.id === id && by.id === boss.id && type === 'user.roles_changed',
    )
    await expectFiltered('from_index=2', ({ index }) => index >= 2)
  })

  test('with a time are sorted by it, from inclusive, to exclusive', async () => {
    const minute = 60_000
    const start = application.clock.now + minute
    for (const offset of [3, 1, 2, 1]) {
      application.clock.now = start + offset * minute
      await application.login(carol.username, 'wrong password')
    }
    application.clock.now = start
    const at = (offset: number) => encodeURIComponent(new Date(start + offset * minute).toISOString())
    const times = async (query: string) => (await walk(query)).map(({ time }) => (Date.parse(time) - start) / minute)
    for (const filter of ['', '&type=login.failed', `&user=${carol.id}`, `&about=${carol.id}&outcome=refused`])
      for (const limit of ['', '&limit=1', '&limit=3']) {
        expect(await times(`since=${at(1)}&until=${at(4)}${filter}${limit}`)).toEqual([3, 2, 1, 1])
        expect(await times(`since=${at(1)}&until=${at(4)}&order=oldest${filter}${limit}`)).toEqual([1, 1, 2, 3])
        expect(await times(`since=${at(1)}&until=${at(3)}${filter}${limit}`)).toEqual([2, 1, 1])
        expect(await times(`since=${at(2)}${filter}${limit}`)).toEqual([3, 2])
      }
    expect(await times(`since=${at(4)}`)).toEqual([])
    expect(await times(`since=${at(2)}&until=${at(1)}`)).toEqual([])
  })

  test('are returned once while the log grows', async () => {
    const first = await get('?limit=3')
    const oldest = await get('?limit=3&order=oldest')
    for (let round = 0; round < 4; round++) await application.login(carol.username, 'wrong password')
    const second = await get(`?limit=3&after=${first.next}`)
    const [last] = indexesOf(first.items).slice(-1)
    expect(indexesOf(second.items)).toEqual([1, 2, 3].map((step) => Number(last) - step))
    expect(indexesOf((await get(`?limit=3&order=oldest&after=${oldest.next}`)).items)).toEqual([3, 4, 5])
  })

  test('end with a null cursor on the last page, also if it is full', async () => {
    const { items } = await get('?order=oldest&limit=100')
    expect((await get(`?order=oldest&limit=${items.length}`)).next).toBeNull()
    expect((await get(`?order=oldest&limit=${items.length - 1}`)).next).not.toBeNull()
    expect(await get('?type=no.such_type')).toEqual({ items: [], next: null })
    expect(await get(`?user=${crypto.randomUUID()}`)).toEqual({ items: [], next: null })
    expect(await get('?from_index=999999999999999')).toEqual({ items: [], next: null })
  })

  test.each([
    ['since=yesterday', 'since'],
    ['since=2026-02-30T00:00:00Z', 'since'],
    ['until=0000-01-01T00:00:00Z', 'until'],
    ['since=2026-01-31T08:00:00+01:00', 'since'],
    ['type=Login.Failed', 'type'],
    ['type=', 'type'],
    ["type=x'--", 'type'],
    ['by=admin', 'by'],
    ['about=urn:uuid:2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52', 'about'],
    ['user=%25', 'user'],
    ['outcome=maybe', 'outcome'],
    ['order=random', 'order'],
    ['from_index=-1', 'from_index'],
    ['from_index=1e3', 'from_index'],
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['after=x', 'after'],
    ['after=', 'after'],
    [`after=${Buffer.from('1 2').toString('base64url')}`, 'after'],
    [`since=2026-01-01T00:00:00Z&after=${Buffer.from('1').toString('base64url')}`, 'after'],
    [`after=${Buffer.from('9'.repeat(19)).toString('base64url')}`, 'after'],
  ])('with %s return 422 and name the field', async (query, field) => {
    for (const accept of ['application/json', 'text/csv', 'application/x-ndjson']) {
      const response = await application.call(`/audit/events?${query}`, {
        headers: { authorization: `Bearer ${token}`, accept },
      })
      expect([query, response.status]).toEqual([query, 422])
      const { errors } = (await response.json()) as { errors: { field: string }[] }
      expect(errors.map((error) => error.field)).toEqual([field])
    }
  })

  test('accept a cursor of any size', async () => {
    const far = (text: string) => Buffer.from(text).toString('base64url')
    for (const query of [
      `after=${far('999999999999999999')}`,
      `order=oldest&after=${far('999999999999999999')}`,
      `since=2026-01-01T00:00:00Z&after=${far('1 999999999999999999')}`,
      `until=2026-01-01T00:00:00Z&after=${far('1 -99999999999999999')}`,
    ])
      expect([query, (await accounts.json('GET', `/audit/events?${query}`, token)).status]).toEqual([query, 200])
  })

  test('with a repeated or undecodable parameter return 400', async () => {
    for (const query of ['type=logout&type=logout', 'by=a%00b%FF', 'limit=1&limit=2'])
      expect([query, (await accounts.json('GET', `/audit/events?${query}`, token)).status]).toEqual([query, 400])
  })

  test('are only for an API key with the scope audit:read, and the refusal of another is one', async () => {
    const other = await application.apiKey({ scopes: ['users:read', 'users:write', 'introspect'], roles: ['admin'] })
    expect((await accounts.json('GET', '/audit/events', other)).status).toBe(403)
    const { items } = await get('?limit=1')
    expect(items[0]).toMatchObject({ type: 'api_key.refused', outcome: 'refused', by: { kind: 'api_key' } })
    const key = await application.apiKey({ scopes: ['audit:read'] })
    expect((await accounts.json('GET', '/audit/events', key)).status).toBe(200)
    const { items: ofKey } = await get(`?by=${items[0]?.by.id}`)
    expect(ofKey.map(({ index }) => index)).toEqual([Number(items[0]?.index)])
  })

  test('are not stored by caches, and vary by Accept', async () => {
    const { headers } = await accounts.json('GET', '/audit/events', token)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('vary')).toBe('Accept')
  })

  test('are listed although someone has changed them in the database', async () => {
    const next = (await get('?limit=1')).items[0]?.index ?? 0
    await fill(application, 4)
    const change = (offset: number, sql: string) =>
      application.sql(`UPDATE audittrail_audit_events SET ${sql} WHERE index = ${next + offset}`)
    await change(1, `leaf = 'no JSON', time = 'infinity', by_private = '[1]'`)
    await change(2, `leaf = '{"v":1,"by":null,"facts":[],"about":7}', time = '-infinity', about_private = 'null'`)
    await change(
      3,
      `leaf = replace(leaf, '"facts"', '"session":{},"request":3,"x"'), time = '12000-01-01', by_private = '{"username":7}'`,
    )
    await change(4, `type = E'\\u2028=x', outcome = ''`)
    const response = await accounts.json('GET', '/audit/events?limit=5', token)
    const { items } = (await response.json()) as Page
    expect(indexesOf(items)).toEqual([4, 3, 2, 1, 0].map((offset) => next + offset))
    expect(await walk('since=2025-01-01T00:00:00Z&limit=100')).not.toBeEmpty()
    await application.sql(`DELETE FROM audittrail_audit_events WHERE index > ${next}`)
  })

  test('are reported as 503 if the log cannot be read', async () => {
    await application.sql('ALTER TABLE audittrail_audit_events RENAME TO audittrail_audit_hidden')
    for (const accept of ['application/json', 'text/csv']) {
      const headers = { authorization: `Bearer ${token}`, accept }
      expect((await application.call('/audit/events', { headers })).status).toBe(503)
    }
    await application.sql('ALTER TABLE audittrail_audit_hidden RENAME TO audittrail_audit_events')
  })
})
