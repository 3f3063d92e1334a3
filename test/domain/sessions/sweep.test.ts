import { afterAll, describe, expect, test } from 'bun:test'
import { sweepExpiredSessions } from '../../../src/domain/sessions/sweep.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const day = 86_400_000
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

const sweep = (application: TestApplication, round?: number) =>
  sweepExpiredSessions(application.deps, () => false, round)

async function countOf({ sql }: TestApplication): Promise<number> {
  const [row] = await sql('SELECT count(*)::int AS count FROM audittrail_sessions')
  return Number(row?.count)
}

/** As an older version starts sessions, without `sweep_at`. */
function insertOlder({ sql }: TestApplication, count: number, expires: string): Promise<unknown> {
  return sql(`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
    SELECT gen_random_uuid(), (SELECT id FROM users LIMIT 1), now(), now(), now() + interval '${expires}' FROM generate_series(1, ${count})`)
}

describe.each(databaseKinds)('the sweep of sessions on %s', (kind) => {
  test('deletes a session when its access token has expired', async () => {
    const application = await open(kind)
    await application.login()
    expect(await sweep(application)).toBe(0)
    application.clock.now += 1801_000
    expect(await sweep(application, 1)).toBe(1)
    expect(await countOf(application)).toBe(0)
  })

  test('keeps a refreshable session until its absolute end', async () => {
    const application = await open(kind)
    const body = new URLSearchParams({ username: 'admin', password: 'changeme', scope: 'offline_access' })
    const { status } = await application.call('/auth/login', { method: 'POST', body })
    expect(status).toBe(200)
    await application.sql(`UPDATE audittrail_sessions SET expires_at = sweep_at`)
    application.clock.now += 29 * day
    expect(await sweep(application, 1)).toBe(0)
    application.clock.now += day
    expect(await sweep(application, 1)).toBe(1)
  })

  test('keeps an active session whose limit was raised, and deletes it later', async () => {
    const application = await open(kind)
    await application.login()
    const later = new Date(application.clock.now + 3 * day).toISOString()
    await application.sql(`UPDATE audittrail_sessions SET expires_at = '${later}'`)
    application.clock.now += 2 * day
    expect(await sweep(application, 1)).toBe(0)
    const [row] = await application.sql('SELECT sweep_at = expires_at AS is_postponed FROM audittrail_sessions')
    expect(row?.is_postponed).toBe(true)
    application.clock.now += day
    expect(await sweep(application, 1)).toBe(1)
  })

  test('continues in batches until every ended session of an older version is gone', async () => {
    const application = await open(kind)
    // In parts, since no statement may take more than a few seconds.
    for (let part = 0; part < 6; part++) await insertOlder(application, 2000, '-1 day')
    await insertOlder(application, 3, '1 day')
    expect(await sweep(application, 1)).toBe(0)
    expect(await sweep(application, 10)).toBe(12_000)
    expect(await countOf(application)).toBe(3)
  })

  test('continues in batches until every due session is gone, also at one point in time', async () => {
    const application = await open(kind)
    await insertOlder(application, 2500, '-1 day')
    await application.sql(`UPDATE audittrail_sessions SET sweep_at = '2026-01-01T00:00:00.123456Z'`)
    expect(await sweep(application, 1)).toBe(2500)
  })

  test('leaves no row of a session that was ended', async () => {
    const application = await open(kind)
    const authorization = `Bearer ${await application.accessToken()}`
    await application.call('/auth/logout', { method: 'POST', headers: { authorization } })
    expect(await countOf(application)).toBe(0)
    expect((await application.me(authorization.slice(7))).status).toBe(401)
  })
})
