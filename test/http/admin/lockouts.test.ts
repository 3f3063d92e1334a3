import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { liftLockoutsOfNetwork } from '../../../src/domain/signIn/lockouts.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createSignIns, minute } from '../signIns.ts'

describe.each(databaseKinds)('lockout administration on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind, { trustedProxies: ['127.0.0.1'] })
  })
  afterAll(() => application.close())
  beforeEach(async () => {
    await application.sql('DELETE FROM audittrail_attempts')
  })

  const { guess, login, makeUser, newName, waitOf } = createSignIns(() => application)

  const call = (token: string, method: string, path: string) =>
    application.call(path, { method, headers: { authorization: `Bearer ${token}` } })
  async function administrator(): Promise<string> {
    const { username } = await makeUser('admin')
    return application.accessToken(username, good)
  }
  interface Page {
    items: { id: string; kind: string; username: string | null; network: string | null; blocked_until: string }[]
    next: string | null
  }
  const blocksOf = async (token: string, query = '') =>
    (await (await call(token, 'GET', `/blocks${query}`)).json()) as Page

  test('lists lockouts and lifts one', async () => {
    const token = await administrator()
    const { username } = await makeUser()
    await guess(username, 6)
    application.clock.now += 10
    await guess('unknown', 6)
    const { items, next } = await blocksOf(token)
    expect(next).toBeNull()
    expect(items.map(({ kind, username, network }) => ({ kind, username, network }))).toEqual([
      { kind: 'client', username: null, network: '192.0.2.7' },
      { kind: 'client', username, network: '192.0.2.7' },
    ])
    expect((await login(username, good)).status).toBe(429)
    expect((await call(token, 'DELETE', `/blocks/${items[1]?.id}`)).status).toBe(204)
    expect((await login(username, good)).status).toBe(200)
    expect((await call(token, 'DELETE', `/blocks/${items[1]?.id}`)).status).toBe(404)
    expect(application.lines.findLast(({ event }) => event === 'block.lifted')).toMatchObject({
      block: items[1]?.id,
    })
    application.clock.now += 5000
    expect((await blocksOf(token)).items).toEqual([])
  })

  test.each(['by its id', 'by its network'])('lifts a lockout %s and resets its failures', async (how) => {
    const token = await administrator()
    const { username } = await makeUser()
    for (let round = 0; round < 6; round++) {
      expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
      const [block] = (await blocksOf(token)).items
      if (how === 'by its id') expect((await call(token, 'DELETE', `/blocks/${block?.id}`)).status).toBe(204)
      else expect(await liftLockoutsOfNetwork(application.deps, 'test', '192.0.2.7')).toBe(2)
      await application.sql(`DELETE FROM audittrail_attempts WHERE kind = 'network'`)
    }
    expect((await login(username, good, { address: '203.0.113.2' })).status).toBe(200)
  })

  test('lifts all lockouts of a user', async () => {
    const token = await administrator()
    const { username, id } = await makeUser()
    for (let number = 1; number <= 8; number++) await guess(username, 1, { address: `198.51.100.${number}` })
    expect((await login(username, good)).status).toBe(429)
    expect((await call(token, 'DELETE', `/users/${id}/blocks`)).status).toBe(204)
    expect((await login(username, good)).status).toBe(200)
    expect((await call(token, 'DELETE', `/users/${crypto.randomUUID()}/blocks`)).status).toBe(404)
  })

  test('lists lockouts in pages', async () => {
    const token = await administrator()
    for (let number = 0; number < 5; number++) {
      await guess(newName('unknown'), 6, { address: `198.51.100.${number}` })
      application.clock.now += 10
    }
    const seen: string[] = []
    for (let next: string | null = ''; next !== null; ) {
      const page: Page = await blocksOf(token, `?limit=2${next && `&after=${next}`}`)
      expect(page.items.length).toBeLessThanOrEqual(2)
      seen.push(...page.items.map(({ id }) => id))
      next = page.next
    }
    expect(new Set(seen).size).toBe(5)
    expect((await call(token, 'GET', '/blocks?after=%00')).status).toBe(400)
    const invented = ['2026-99-99T00:00:00.000Z x', `0000-01-01T00:00:00.000Z ${crypto.randomUUID()}`]
    for (const after of ['x', 'AA', 'AAAA', ...invented.map((text) => Buffer.from(text).toString('base64url'))])
      expect((await call(token, 'GET', `/blocks?after=${after}`)).status).toBe(422)
    expect((await call(token, 'GET', '/blocks?limit=1&limit=2')).status).toBe(400)
    expect((await call(token, 'GET', '/blocks')).headers.get('cache-control')).toBe('no-store')
  })

  test('requires the role admin', async () => {
    const { username } = await makeUser()
    const token = await application.accessToken(username, good)
    expect((await call(token, 'GET', '/blocks')).status).toBe(403)
    expect((await call(token, 'DELETE', `/blocks/${crypto.randomUUID()}`)).status).toBe(403)
  })

  test('ends lockouts on time that were counted by a clock a day ahead', async () => {
    const token = await application.accessToken((await makeUser('admin')).username, good)
    const users = await Promise.all(Array.from({ length: 16 }, () => makeUser()))
    application.clock.now += 24 * 60 * minute
    for (const { username } of users) await guess(username, 1)
    await guess(users[0]?.username ?? '', 6)
    expect(await waitOf(users[0]?.username ?? '')).toBeGreaterThan(0)
    application.clock.now -= 24 * 60 * minute
    const blocks = await application.call('/blocks', { headers: { authorization: `Bearer ${token}` } })
    expect(await blocks.json()).toEqual({ items: [], next: null })
    expect((await login(users[0]?.username ?? '', good)).status).toBe(200)
    // New failures are counted and forgotten by the correct clock.
    await guess(users[1]?.username ?? '', 1)
    application.clock.now += 15 * minute
    expect(await guess(users[1]?.username ?? '', 5)).toEqual([401, 401, 401, 401, 401])
    const rows =
      await application.sql(`SELECT max(forgotten_at) AS last FROM audittrail_attempts WHERE network IS NOT NULL
      AND key NOT LIKE 'client%'`)
    expect(new Date(String(rows[0]?.last)).getTime()).toBeLessThanOrEqual(application.clock.now + 15 * minute)
  })
})
