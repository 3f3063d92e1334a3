import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { type BrowserSessions, createBrowserSessions } from '../../../src/domain/sessions/browserSessions.ts'
import { login } from '../../../src/domain/signIn/login.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const minute = 60_000
const hour = 3_600_000
const day = 86_400_000

describe.each(databaseKinds)('a browser session on %s', (kind) => {
  let application: TestApplication
  let sessions: BrowserSessions
  let sessionId: string
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sessions = createBrowserSessions(application.deps)
    sessionId = await signIn('browser')
  })
  afterEach(() => application.close())

  function signIn(sessionKind: 'browser' | 'persistent' | 'token'): Promise<string> {
    const throttleSubject = { account: 'admin', network: undefined, device: undefined }
    const client = { address: '192.0.2.7', userAgent: 'test' }
    const input = { username: 'admin', password: 'changeme', sessionKind, throttleSubject, ...client }
    return login(application.deps, input, async ({ id }) => id)
  }

  function check(generation = 0, id = sessionId) {
    return sessions.check({ sessionId: id, generation }, () => ({ deps: application.deps, address: '192.0.2.8' }))
  }

  /** Waits for what happens after a response. */
  async function until(condition: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; !(await condition()); tries++) {
      if (tries > 400) throw new Error('The condition did not come true.')
      await Bun.sleep(50)
    }
  }

  async function lastUsedAt(id = sessionId): Promise<number> {
    const [row] = await application.sql(
      `SELECT (extract(epoch FROM last_used_at) * 1000)::bigint::text AS at FROM audittrail_sessions WHERE id = '${id}'`,
    )
    return Number(row?.at)
  }

  test('has the user of the sign-in', async () => {
    expect(await check()).toMatchObject({ sessionId, user: { username: 'admin', roles: ['admin'] } })
  })

  test('is neither a token session nor one that does not exist', async () => {
    expect(await check(0, await signIn('token'))).toBeUndefined()
    expect(await check(0, '01990000-0000-7000-8000-000000000000')).toBeUndefined()
  })

  test('ends when it is idle for SESSION_IDLE_MINUTES', async () => {
    application.clock.now += 120 * minute - 1
    expect(await check()).toBeDefined()
    const idle = await signIn('browser')
    application.clock.now += 120 * minute
    expect(await check(0, idle)).toBeUndefined()
  })

  test('is extended by use, until SESSION_HOURS after its start', async () => {
    const start = application.clock.now
    while (application.clock.now + hour < start + 12 * hour) {
      application.clock.now += hour
      expect(await check()).toBeDefined()
      await until(async () => (await lastUsedAt()) === application.clock.now)
    }
    application.clock.now = start + 12 * hour - 1
    expect(await check()).toBeDefined()
    application.clock.now = start + 12 * hour
    expect(await check()).toBeUndefined()
  })

  test('that stays lasts REFRESH_TOKEN_EXPIRE_DAYS, and SESSION_IDLE_DAYS without use', async () => {
    const [used, idle] = [await signIn('persistent'), await signIn('persistent')]
    application.clock.now += 13 * day
    expect(await check(0, used)).toBeDefined()
    await until(async () => (await lastUsedAt(used)) === application.clock.now)
    application.clock.now += day
    expect(await check(0, idle)).toBeUndefined()
    application.clock.now += 12 * day
    expect(await check(0, used)).toBeDefined()
    await until(async () => (await lastUsedAt(used)) === application.clock.now)
    application.clock.now += 4 * day
    expect(await check(0, used)).toBeUndefined()
  })

  test('records its use at most every five minutes', async () => {
    const start = await lastUsedAt()
    application.clock.now += 5 * minute - 1
    await check()
    application.clock.now += 1
    const recorded = application.clock.now
    await check()
    await until(async () => (await lastUsedAt()) !== start)
    expect(await lastUsedAt()).toBe(recorded)
  })

  test('ends for a disabled and for a deleted user', async () => {
    await application.sql(`UPDATE users SET is_active = false`)
    expect(await check()).toBeUndefined()
    await application.sql(`UPDATE users SET is_active = true`)
    expect(await check()).toBeDefined()
    await application.sql(`DELETE FROM users`)
    expect(await check()).toBeUndefined()
  })

  describe('whose cookie was renewed', () => {
    test('accepts the former cookie for ten seconds', async () => {
      expect(await sessions.renew({ sessionId, generation: 0 })).toEqual({
        sessionId,
        generation: 1,
        maxAge: undefined,
      })
      application.clock.now += 10_000
      expect(await check(0)).toBeDefined()
      expect(await check(1)).toBeDefined()
    })

    test('ends when the former cookie is used later, and records it', async () => {
      await sessions.renew({ sessionId, generation: 0 })
      application.clock.now += 10_001
      expect(await check(1)).toBeDefined()
      expect(await check(0)).toBeUndefined()
      expect(await check(1)).toBeUndefined()
      expect(application.lines).toContainEqual(
        expect.objectContaining({ event: 'session.replayed', username: 'admin', session: sessionId }),
      )
    })

    test('ends when a cookie before the former one is used', async () => {
      await sessions.renew({ sessionId, generation: 0 })
      await sessions.renew({ sessionId, generation: 1 })
      expect(await check(0)).toBeUndefined()
      expect(await check(2)).toBeUndefined()
    })

    test('has one successor for concurrent renewals', async () => {
      const renewed = await Promise.all(Array.from({ length: 8 }, () => sessions.renew({ sessionId, generation: 0 })))
      expect(new Set(renewed.map((credential) => credential?.generation))).toEqual(new Set([1]))
    })

    test('keeps its end and its stay', async () => {
      const stayed = await signIn('persistent')
      application.clock.now += day
      expect((await sessions.renew({ sessionId: stayed, generation: 0 }))?.maxAge).toBe(29 * 86_400)
    })
  })

  test('that has ended is not renewed', async () => {
    application.clock.now += 12 * hour
    expect(await sessions.renew({ sessionId, generation: 0 })).toBeUndefined()
  })
})
