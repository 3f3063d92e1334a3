import { afterAll, describe, expect, test } from 'bun:test'
import { resetKeys } from '../../../src/domain/keys/signingKeys.ts'
import { sweepExpiredSessions } from '../../../src/domain/sessions/sweep.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const opened = new Map<string, TestApplication>()
afterAll(async () => {
  for (const application of opened.values()) await application.close()
})

/** Returns an application without sessions, at the present time. */
async function open(kind: (typeof databaseKinds)[number]): Promise<TestApplication> {
  const application = opened.get(kind) ?? (await openTestApplication(kind))
  opened.set(kind, application)
  application.clock.now = Date.now() + 600_000
  await application.sql('DELETE FROM audittrail_sessions')
  // A user who has to choose a password gets no refresh token.
  await application.sql('UPDATE users SET must_change_password = false')
  return application
}

/** A session as an older version starts it. Returns what a check presents. */
async function insertOlder({ sql, clock }: TestApplication, age: number) {
  const created = new Date(clock.now - age).toISOString()
  const [row] = await sql(`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
    SELECT gen_random_uuid(), id, '${created}', '${created}', now() + interval '1 day' FROM users RETURNING id, user_id`)
  return { id: String(row?.id), userId: String(row?.user_id), username: 'admin', now: new Date(clock.now) }
}

describe.each(databaseKinds)('the next epoch on %s', (kind) => {
  test('ends every session at once, and lets new ones start at the same time', async () => {
    const application = await open(kind)
    const { deps, sql } = application
    const offline = new URLSearchParams({ username: 'admin', password: 'changeme', scope: 'offline_access' })
    const response = await application.call('/auth/login', { method: 'POST', body: offline })
    const { refresh_token = '', access_token = '' } = (await response.json()) as Record<string, string>
    expect(refresh_token).not.toBe('')
    // HS256 with the same SECRET_KEY: the tokens themselves stay valid.
    expect(await resetKeys(deps, 'test')).toBe(1)
    expect((await application.me(access_token)).status).toBe(401)
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token })
    expect((await application.call('/auth/refresh', { method: 'POST', body })).status).toBe(400)
    const { id: user = '' } = (await sql('SELECT id FROM users'))[0] ?? {}
    expect(await deps.database.sessions.listActiveSessions(String(user), new Date(deps.clock()))).toEqual([])
    expect(await deps.database.sessions.endSessionsOf(String(user), new Date(deps.clock()))).toBe(0)
    expect((await application.me(await application.accessToken())).status).toBe(200)
    expect(await deps.database.sessions.listActiveSessions(String(user), new Date(deps.clock()))).toHaveLength(1)
  })

  test('holds for a session that a slower clock seems to start later', async () => {
    const application = await open(kind)
    application.clock.now += 60_000
    const token = await application.accessToken()
    application.clock.now -= 60_000
    await resetKeys(application.deps, 'test')
    application.clock.now += 60_000
    expect((await application.me(token)).status).toBe(401)
  })

  test('ends sessions that an older version started before it, and no later ones', async () => {
    const application = await open(kind)
    const { deps } = application
    const before = await insertOlder(application, 0)
    expect(await deps.database.findActiveSession(before)).toBeDefined()
    await resetKeys(deps, 'test')
    expect(await deps.database.findActiveSession(before)).toBeUndefined()
    const after = await insertOlder(application, -1)
    expect(await deps.database.findActiveSession(after)).toBeDefined()
  })

  test('has its ended sessions swept once', async () => {
    const application = await open(kind)
    const { deps, sql } = application
    await application.login()
    await insertOlder(application, 1000)
    await resetKeys(deps, 'test')
    await application.login()
    expect(await sweepExpiredSessions(deps, () => false, 1)).toBe(2)
    expect(await sql('SELECT id FROM audittrail_sessions')).toHaveLength(1)
    expect(await deps.database.sessionSweep.findUnsweptEpoch()).toBeUndefined()
  })

  test('counts no more than 10,000 sessions', async () => {
    const application = await open(kind)
    // In parts, since no statement may take more than a few seconds.
    for (let part = 0; part < 5; part++)
      await application.sql(`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
        SELECT gen_random_uuid(), (SELECT id FROM users LIMIT 1), now(), now(), now() + interval '1 day' FROM generate_series(1, 2000)`)
    expect(await resetKeys(application.deps, 'test')).toBeNull()
    expect(await resetKeys(application.deps, 'test')).toBeNull()
    await sweepExpiredSessions(application.deps, () => false, 1)
    expect(await resetKeys(application.deps, 'test')).toBe(0)
  })
})
