import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { sweepExpiredFailures } from '../../../src/domain/sessions/sweep.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createSignIns, minute } from '../signIns.ts'

describe.each(databaseKinds)('the sign-in throttle on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind, { trustedProxies: ['127.0.0.1'] })
  })
  afterAll(() => application.close())
  beforeEach(async () => {
    await application.sql('DELETE FROM audittrail_attempts')
  })

  const { guess, login, makeUser, newName, waitOf } = createSignIns(() => application)

  test.each(['an existing account', 'an unknown username'])(
    'allows %s five failures, then doubles the wait with each one',
    async (which) => {
      const username = which === 'an unknown username' ? newName('unknown') : (await makeUser()).username
      expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
      for (const seconds of [1, 2, 4, 8, 16]) {
        expect(await waitOf(username)).toBe(seconds)
        application.clock.now += seconds * 1000 - 1
        expect(await waitOf(username)).toBe(1)
        application.clock.now += 1
        expect(await guess(username, 1)).toEqual([401])
      }
    },
  )

  test('limits the wait to fifteen minutes and forgets failures after them', async () => {
    const { username } = await makeUser()
    await guess(username, 6)
    for (let round = 0; round < 10; round++) {
      const seconds = await waitOf(username)
      expect(seconds).toBeLessThanOrEqual(900)
      application.clock.now += seconds * 1000
      await guess(username, 1)
    }
    expect(await waitOf(username)).toBe(900)
    application.clock.now += 15 * minute
    expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
  })

  test.each([`forgotten_at = 'infinity'`, `last_failed_at = '-infinity'`])(
    'rejects for the longest wait if it reads %s, which an administrator can list and lift',
    async (times) => {
      const { username } = await makeUser()
      const administrator = await makeUser('admin')
      const authorization = `Bearer ${await application.accessToken(administrator.username, good)}`
      await guess(username, 6)
      await application.sql(`UPDATE audittrail_attempts SET ${times} WHERE username = '${username}'`)
      expect(await waitOf(username)).toBe(900)
      const listed = await application.call('/blocks', { headers: { authorization } })
      const { items } = (await listed.json()) as { items: { id: string; username: string }[] }
      for (const { id } of items.filter((item) => item.username === username))
        await application.call(`/blocks/${id}`, { method: 'DELETE', headers: { authorization } })
      expect((await login(username, good)).status).toBe(200)
    },
  )

  test('rejects with 429 as an OAuth problem, without hashing', async () => {
    const { username } = await makeUser()
    await guess(username, 6)
    const before = application.deps.hashQueue
    const response = await login(username, good)
    expect(response.status).toBe(429)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toMatchObject({
      type: 'urn:audittrail:problem:too_many_attempts',
      error: 'invalid_request',
    })
    expect(before.running).toBe(0)
    expect(application.lines.findLast(({ event }) => event === 'login.throttled')).toMatchObject({
      address: '192.0.2.7',
    })
  })

  test('counts usernames without regard to case', async () => {
    const { username } = await makeUser()
    await guess(username.toLowerCase(), 3)
    await guess(username.toUpperCase(), 3)
    expect(await waitOf(username)).toBe(1)
  })

  test('lets the owner sign in from another network', async () => {
    const { username } = await makeUser()
    await guess(username, 6)
    expect(await waitOf(username)).toBeGreaterThan(0)
    const owner = { address: '198.51.100.1' }
    expect((await login(username, 'a slip of the finger', owner)).status).toBe(401)
    expect((await login(username, good, owner)).status).toBe(200)
  })

  test('throttles unknown devices after failures from many networks', async () => {
    const { username } = await makeUser()
    for (let number = 1; number <= 6; number++)
      expect(await guess(username, 1, { address: `198.51.100.${number}` })).toEqual([401])
    expect(await waitOf(username, { address: '203.0.113.1' })).toBe(1)
    expect((await login(username, good, { address: '203.0.113.2' })).status).toBe(429)
    application.clock.now += 1000
    expect((await login(username, good, { address: '203.0.113.2' })).status).toBe(200)
  })

  test('counts two networks over hours as two, even with sweeps in between', async () => {
    const { username } = await makeUser()
    const owner = { address: '203.0.113.9' }
    for (let round = 0; round < 20; round++) {
      expect(await guess(username, 1, { address: `198.51.100.${1 + (round % 2)}` })).toEqual([401])
      application.clock.now += 9 * minute
      if (round % 3 === 0) await sweepExpiredFailures(application.deps, () => false)
      expect(await networksAt(username)).toBe(Math.min(round + 1, 2))
    }
    expect((await login(username, 'a slip of the finger', owner)).status).toBe(401)
    expect((await login(username, good, owner)).status).toBe(200)
    // Fifteen minutes after the last failure, nothing is left.
    application.clock.now += 15 * minute
    await sweepExpiredFailures(application.deps, () => false)
    expect(await application.sql('SELECT key FROM audittrail_attempts')).toEqual([])
  })

  /** Returns the networks that the account has counted. */
  const networksAt = async (username: string) =>
    (
      await application.sql(
        `SELECT failures FROM audittrail_attempts WHERE kind = 'account' AND username = '${username}'`,
      )
    )[0]?.failures

  test('limits the failures of three networks together', async () => {
    const { username } = await makeUser()
    const statuses: number[] = []
    for (let round = 0; round < 6; round++)
      for (let number = 1; number <= 3; number++)
        statuses.push(...(await guess(username, 1, { address: `198.51.100.${number}` })))
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(12)
  })

  test('allows one network twenty failures at different accounts, then throttles it', async () => {
    const users = await Promise.all(Array.from({ length: 22 }, () => makeUser()))
    for (const { username } of users.slice(0, 21)) expect(await guess(username, 1)).toEqual([401])
    expect(await waitOf(users[21]?.username ?? '')).toBe(1)
    expect((await login(users[21]?.username ?? '', good, { address: '198.51.100.1' })).status).toBe(200)
  })

  test('counts an IPv6 /64 as one network', async () => {
    const users = await Promise.all(Array.from({ length: 22 }, () => makeUser()))
    for (const [index, { username }] of users.slice(0, 21).entries())
      await guess(username, 1, { address: `2001:db8:0:1::${index.toString(16)}` })
    const last = users[21]?.username ?? ''
    expect(await waitOf(last, { address: '2001:db8:0:1:ffff::1' })).toBe(1)
    expect(await guess(last, 1, { address: '2001:db8:0:2::1' })).toEqual([401])
  })

  test('counts only by account behind an undeclared proxy', async () => {
    const via = (client: string) => ({ address: '10.0.0.1', headers: { 'x-forwarded-for': client } })
    for (let number = 0; number < 25; number++)
      expect(await guess(newName('unknown'), 1, via('203.0.113.9'))).toEqual([401])
    const { username } = await makeUser()
    await guess(username, 6, via('203.0.113.9'))
    expect(await waitOf(username, via('203.0.113.10'))).toBe(1)
  })

  test('counts by client behind a declared proxy', async () => {
    const via = (client: string) => ({ address: '127.0.0.1', headers: { 'x-forwarded-for': client } })
    const { username } = await makeUser()
    await guess(username, 6, via('203.0.113.9'))
    expect(await waitOf(username, via('203.0.113.9'))).toBe(1)
    expect((await login(username, good, via('203.0.113.10'))).status).toBe(200)
  })

  test('forgets failures after a successful login', async () => {
    const { username } = await makeUser()
    await guess(username, 5)
    expect((await login(username, good)).status).toBe(200)
    expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
  })

  test("keeps counting a network's failures after logins to one's own account", async () => {
    const own = await makeUser()
    for (let number = 0; number < 21; number++) {
      await guess(newName('unknown'), 1)
      if (number % 5 === 1) expect((await login(own.username, good)).status).toBe(200)
    }
    expect(await waitOf(newName('unknown'))).toBe(1)
  })

  test('counts a correct password of a disabled account as a failure', async () => {
    const { username, id } = await makeUser()
    await application.sql(`UPDATE users SET is_active = false WHERE id = '${id}'`)
    for (let number = 0; number < 6; number++) expect((await login(username, good)).status).toBe(401)
    expect((await login(username, good)).status).toBe(429)
  })

  test('counts fifty failures at once exactly', async () => {
    const { username } = await makeUser()
    const statuses = (await Promise.all(Array.from({ length: 50 }, () => login(username, 'wrong')))).map(
      ({ status }) => status,
    )
    const failed = statuses.filter((status) => status === 401).length
    const [row] = await application.sql(`SELECT failures FROM audittrail_attempts WHERE kind = 'client'`)
    expect(row?.failures).toBe(failed)
    // One more than the free ones can start before the last one is counted.
    expect(failed).toBeLessThanOrEqual(7)
    expect(statuses.filter((status) => status === 429).length).toBe(50 - failed)
  })

  test('sweeps forgotten failures', async () => {
    await guess(newName('unknown'), 2)
    expect(await sweepExpiredFailures(application.deps, () => false)).toBe(0)
    application.clock.now += 15 * minute
    expect(await sweepExpiredFailures(application.deps, () => false)).toBe(3)
  })

  test('stores no username that was typed', async () => {
    await guess('my-secret-typed-as-a-name', 1)
    const rows = await application.sql('SELECT * FROM audittrail_attempts')
    expect(rows).toHaveLength(3)
    expect(JSON.stringify(rows)).not.toContain('my-secret')
    expect(JSON.stringify(application.lines)).not.toContain('my-secret')
  })
})
