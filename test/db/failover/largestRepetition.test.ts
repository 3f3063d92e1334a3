import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { createAcknowledgedChanges } from '../../../src/db/failover/acknowledgedChanges.ts'
import { repeatRevocations } from '../../../src/db/failover/repetition.ts'
import { openPool, type Pool } from '../../../src/db/pool/pool.ts'
import { migratedDatabase } from '../../migratedDatabase.ts'
import { createDatabase } from '../../postgresql.ts'
import { recordingRepetition } from './recording.ts'

/** As many of each of five kinds as a process remembers of all. */
const count = 4000
const kinds = ['session', 'key', 'disabling', 'password', 'deletion'] as const

describe('the repetition of 20,000 revocations', () => {
  let pool: Pool
  let other: postgres.Sql
  const changes = createAcknowledgedChanges(
    () => 0,
    () => {},
  )
  const progress = { repeated: 0, rejected: new Set<string>() }
  const options = { safeUntil: undefined, isPooled: false, progress, record: recordingRepetition() }
  const repeat = () => pool.run((connection) => repeatRevocations(connection, changes, options), 'unlimited')

  beforeAll(async () => {
    const url = await createDatabase('', await migratedDatabase())
    pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize: 1 })
    other = postgres(url, { max: 2, onnotice: () => {} })
    // What a failover leaves that undoes all of them. The user of each is named after it.
    await other`INSERT INTO users (username, hashed_password, full_name)
      SELECT kind || place, 'former', kind FROM unnest(${[...kinds]}::text[]) AS kind, generate_series(1, ${count}) AS place`
    await other`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
      SELECT id, id, now(), now(), now() + interval '1 hour' FROM users`
    await other`INSERT INTO audittrail_services (name, created_at) VALUES ('service', now())`
    await other`INSERT INTO audittrail_api_keys (id, service_id, digest, scopes, roles, created_by, created_at)
      SELECT users.id, s.id, username, '{}', '{}', 'admin', now() FROM users, audittrail_services s WHERE full_name = 'key'`
    const rows = await other<{ id: string; kind: string }[]>`SELECT id, full_name AS kind FROM users ORDER BY username`
    for (const { id, kind } of rows) {
      if (kind === 'session') changes.sessionsEnded([id])
      if (kind === 'key') changes.apiKeysRevoked([{ id, revoked_at: new Date(0), revoked_by: 'admin' }])
      if (kind === 'disabling') changes.userAccessChanged(id, { isActive: false, roles: undefined })
      if (kind === 'password') changes.passwordChanged(id, { hash: 'next', replacing: 'former', mustChange: false })
      if (kind === 'deletion') changes.userDeleted(id)
    }
    expect(changes.revocations()).toHaveLength(5 * count)
  })

  afterAll(async () => {
    await pool?.close()
    await other?.end()
  })

  async function undone(): Promise<Record<string, number>> {
    const [row] = await other<Record<string, number>[]>`SELECT
      (SELECT count(*)::integer FROM audittrail_sessions s JOIN users u ON u.id = user_id
       WHERE full_name IN ('session', 'disabling') AND expires_at > now()) AS sessions,
      (SELECT count(*)::integer FROM audittrail_api_keys WHERE revoked_at IS NULL) AS keys,
      count(*) FILTER (WHERE full_name = 'disabling' AND is_active)::integer AS disabling,
      count(*) FILTER (WHERE full_name = 'password' AND hashed_password = 'former')::integer AS passwords,
      count(*) FILTER (WHERE full_name = 'deletion')::integer AS deletions FROM users`
    return { ...row }
  }

  /** Has the attempt fail when it comes to one of the users. */
  async function failAt(username: string): Promise<unknown> {
    const [result] = await other.begin(async (transaction) => {
      await transaction`SELECT FROM users WHERE username = ${username} FOR UPDATE`
      return [await repeat().catch((error) => error)]
    })
    return result
  }

  test('continues after an attempt that failed in the middle, and makes each once', async () => {
    expect(await failAt('disabling2000')).toMatchObject({ code: 'unavailable' })
    expect(await undone()).toMatchObject({ keys: 0, passwords: 0, deletions: count })
    const disabled = await other`SELECT id, xmin FROM users WHERE full_name = 'disabling' AND NOT is_active ORDER BY id`
    expect(disabled.length).toBeWithin(500, count)
    expect(await failAt('deletion2000')).toMatchObject({ code: 'unavailable' })
    expect(await repeat()).toEqual({ repeated: 5 * count, missing: 0 })
    expect(await undone()).toEqual({ sessions: 0, keys: 0, disabling: 0, passwords: 0, deletions: 0 })
    const [events] = await other`SELECT count(*) FILTER (WHERE leaf LIKE '%"disabling"%')::integer AS disablings,
      count(*) FILTER (WHERE leaf LIKE '%"session"%')::integer AS sessions FROM audittrail_audit_pending`
    expect(events).toEqual({ disablings: count, sessions: 32 })
    const ids = disabled.map(({ id }) => id)
    expect(await other`SELECT id, xmin FROM users WHERE id = ANY (${ids}) ORDER BY id`).toEqual(disabled)
  })
})
