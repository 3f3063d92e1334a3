import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

describe.each(databaseKinds)('refresh on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const { form, grantOf, makeUser, refresh, signIn, statusOfMe } = createAccounts(() => application)

  test('returns a refresh token only with scope=offline_access', async () => {
    const { username } = await makeUser()
    expect(await (await application.login(username, good)).json()).not.toHaveProperty('refresh_token')
    const body = { username, password: good, scope: 'openid offline_access' }
    expect(await (await form('/auth/login', body)).json()).toMatchObject({
      scope: 'offline_access',
      refresh_token: expect.any(String),
    })
  })

  test('returns the next pair, also at the token endpoint', async () => {
    const { username } = await makeUser()
    const first = await signIn(username)
    const second = await grantOf(await refresh(first.refresh_token))
    expect(second.refresh_token).not.toBe(first.refresh_token)
    expect(await statusOfMe(second.access_token)).toBe(200)
    const third = await form('/auth/login', { grant_type: 'refresh_token', refresh_token: second.refresh_token })
    expect(third.status).toBe(200)
  })

  test('returns the same successor for fifty requests at once', async () => {
    const first = await signIn((await makeUser()).username)
    const responses = await Promise.all(Array.from({ length: 50 }, () => refresh(first.refresh_token)))
    const successors = new Set<string>()
    for (const response of responses) {
      expect(response.status).toBe(200)
      successors.add((await grantOf(response)).refresh_token)
    }
    expect(successors.size).toBe(1)
  })

  test('accepts a used token for ten more seconds and no longer', async () => {
    const first = await signIn((await makeUser()).username)
    const second = await grantOf(await refresh(first.refresh_token))
    application.clock.now += 10_000
    expect((await grantOf(await refresh(first.refresh_token))).refresh_token).toBe(second.refresh_token)
    application.clock.now += 1
    const late = await refresh(first.refresh_token)
    expect(late.status).toBe(400)
    expect(await late.json()).toMatchObject({ error: 'invalid_grant' })
    expect((await refresh(second.refresh_token)).status).toBe(400)
    expect(await statusOfMe(second.access_token)).toBe(401)
  })

  test('ends the session when an older token is replayed', async () => {
    const first = await signIn((await makeUser()).username)
    const second = await grantOf(await refresh(first.refresh_token))
    const third = await grantOf(await refresh(second.refresh_token))
    expect(await statusOfMe(third.access_token)).toBe(200)
    expect((await refresh(first.refresh_token)).status).toBe(400)
    expect(await statusOfMe(third.access_token)).toBe(401)
    expect((await refresh(third.refresh_token)).status).toBe(400)
    expect(application.lines.at(-5)).toBeDefined()
    expect(application.lines.some(({ event }) => event === 'session.replayed')).toBe(true)
  })

  test('rejects an access token, as me rejects a refresh token', async () => {
    const grant = await signIn((await makeUser()).username)
    expect(await statusOfMe(grant.refresh_token)).toBe(401)
    expect((await refresh(grant.access_token)).status).toBe(400)
  })

  test.each(['nonsense', 'atr_', 'atr_AAAA', `atr_${'A'.repeat(70)}`])(
    'rejects the malformed token %s with invalid_grant',
    async (token) => {
      const response = await refresh(token)
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ error: 'invalid_grant' })
    },
  )

  test('rejects a token after fourteen idle days, and after thirty days in all', async () => {
    const start = application.clock.now
    const day = 86_400_000
    const idle = await signIn((await makeUser()).username)
    application.clock.now = start + 14 * day
    expect((await refresh(idle.refresh_token)).status).toBe(400)
    application.clock.now = start

    let grant = await signIn((await makeUser()).username)
    for (const days of [10, 20, 29.99]) {
      application.clock.now = start + days * day
      grant = await grantOf(await refresh(grant.refresh_token))
      expect(grant.refresh_token).toBeDefined()
    }
    expect(grant.expires_in).toBeLessThan(1800)
    application.clock.now = start + 30 * day
    expect((await refresh(grant.refresh_token)).status).toBe(400)
    application.clock.now = start
  })

  test('stores no token in the database', async () => {
    const grant = await signIn((await makeUser()).username)
    const rows = JSON.stringify(await application.sql('SELECT s.*, s.id::text FROM audittrail_sessions s'))
    expect(rows).not.toContain(grant.refresh_token.slice(4, 40))
    expect(Buffer.from(grant.refresh_token.slice(4), 'base64url').subarray(20)).toHaveLength(32)
  })
})

describe('a session that ends during a refresh', () => {
  test.each(['logout', 'disable', 'password change', 'password reset', 'delete'] as const)(
    'stays ended by %s in every interleaving',
    async (end) => {
      const application = await openTestApplication('PostgreSQL')
      const { sessions, signIns, users } = application.deps.database
      const hash = 'not a real hash'
      for (let round = 0; round < 100; round++) {
        await application.sql(`DELETE FROM users WHERE username = 'racer'`)
        const [row] = await application.sql(
          `INSERT INTO users (username, hashed_password, full_name) VALUES ('racer', '${hash}', 'R') RETURNING id`,
        )
        const userId = String(row?.id)
        const now = new Date(application.clock.now)
        const begin = (id: string) =>
          signIns.insertSession({
            id,
            userId,
            verifiedHash: hash,
            now,
            expiresAt: new Date(now.getTime() + 86_400_000),
            refreshGeneration: 0,
            address: undefined,
            userAgent: undefined,
          })
        const [id, late] = [crypto.randomUUID(), crypto.randomUUID()]
        await begin(id)
        const rotation = { now, retryableSince: now, createdAfter: new Date(0), idle: 86_400_000, lifetime: 86_400_000 }
        const ends = {
          logout: () => sessions.endSession(id, now, userId),
          disable: () => users.updateUser(userId, { is_active: false }),
          'password change': () =>
            users.updatePassword(userId, { hash: 'new', mustChange: false, replacing: hash }, now),
          'password reset': () => users.updatePassword(userId, { hash: 'new', mustChange: true }, now),
          delete: () => users.deleteUser(userId),
        }
        // A login that has already verified the old password runs at the same time.
        await Promise.all([sessions.rotate({ id, generation: 0, ...rotation }), ends[end](), begin(late)])
        const isActive = async (sessionId: string) =>
          (await application.deps.database.findActiveSession({ id: sessionId, userId, username: 'racer', now })) !==
          undefined
        expect(await isActive(id)).toBe(false)
        expect(await sessions.rotate({ id, generation: 1, ...rotation })).toBeUndefined()
        if (end !== 'logout') expect(await isActive(late)).toBe(false)
        if (end === 'disable') {
          await users.updateUser(userId, { is_active: true })
          expect([await isActive(id), await isActive(late)]).toEqual([false, false])
        }
      }
      await application.close()
    },
  )
})
