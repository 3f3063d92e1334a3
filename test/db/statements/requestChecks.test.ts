import { afterAll, describe, expect, test } from 'bun:test'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { openDatabase } from '../../../src/db/database.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import { requestCheckStatements, type SessionKey } from '../../../src/db/statements/requestChecks.ts'
import { databaseKinds, openTestApplication } from '../../application.ts'
import { createDatabase } from '../../postgresql.ts'

const closing: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const close of closing) await close()
})

test('session checks compare usernames by the collation of an adopted column', async () => {
  const { deps, sql, close, clock } = await openTestApplication('PostgreSQL')
  closing.push(close)
  await sql(`CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
  await sql('ALTER TABLE users ALTER username TYPE varchar(50) COLLATE ci')
  const [row] =
    await sql(`WITH session AS (INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
    SELECT gen_random_uuid(), id, now(), now(), now() + interval '1 day' FROM users RETURNING id, user_id) SELECT * FROM session`)
  const key = { id: String(row?.id), userId: String(row?.user_id), now: new Date(clock.now) }
  expect(await deps.database.findActiveSession({ ...key, username: 'admin' })).toMatchObject({ username: 'admin' })
  expect(await deps.database.findActiveSession({ ...key, username: 'other' })).toBeUndefined()
})

test('request checks are planned once, however few keys a batch has', async () => {
  // Which connections a larger pool uses depends on how fast they are made.
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(await createDatabase()), poolSize: 1 })
  closing.push(() => pool.close())
  await openDatabase(pool).migrate()
  const key = { id: crypto.randomUUID(), now: new Date() }
  const token = { ...key, userId: key.id, username: 'admin' }
  for (let count = 0; count < 20; count++)
    await pool.read(async ({ client }) => {
      const { findActiveSessions, findBrowserSessions, findApiKeys } = requestCheckStatements({ client })
      await findActiveSessions([token])
      await findBrowserSessions([key])
      await findApiKeys(['digest'])
    })
  // PostgreSQL plans each of the first five executions of a statement.
  const plans = await pool.read(
    ({ client }) =>
      client`SELECT custom_plans FROM pg_prepared_statements WHERE statement ~ '(ANY\\(|unnest\\()\\(SELECT'`,
  )
  expect([...plans]).toEqual(Array.from({ length: 3 }, () => ({ custom_plans: '5' })))
})

describe.each(databaseKinds)('session checks on %s', (kind) => {
  test('find each of many users at once, whatever the username, and no user with another', async () => {
    const { deps, sql, close, clock } = await openTestApplication(kind)
    closing.push(close)
    const names = [
      'ada',
      "O'Brien",
      'a"b',
      'a\\b',
      '{x,y}',
      'NULL',
      '  spaced ',
      'Jörg',
      '\u{1F511}',
      '"',
      '\\',
      ',',
      '"",""',
    ]
    const keys: SessionKey[] = []
    for (const name of names) {
      const literal = name.replaceAll("'", "''")
      const [user] = await sql(
        `INSERT INTO users (username, hashed_password, full_name) VALUES ('${literal}', 'x', 'X') RETURNING id`,
      )
      const [session] = await sql(`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
        VALUES (gen_random_uuid(), '${user?.id}', now(), now(), now() + interval '1 day') RETURNING id`)
      keys.push({ id: String(session?.id), userId: String(user?.id), username: name, now: new Date(clock.now) })
    }
    const find = deps.database.findActiveSession
    const found = await Promise.all(keys.map(find))
    expect(found.map((user) => user?.username)).toEqual(names)
    expect(found[0]).toEqual({
      id: String(keys[0]?.userId),
      username: 'ada',
      full_name: 'X',
      is_active: true,
      roles: [],
      must_change_password: false,
    })
    const shifted = keys.map((key, index) => ({ ...key, username: names[(index + 1) % names.length] ?? '' }))
    const late = keys.map((key) => ({ ...key, now: new Date(clock.now + 2 * 86_400_000) }))
    const foreign = keys.map((key, index) => ({ ...key, userId: keys.at(index - 1)?.userId ?? '' }))
    for (const wrong of [shifted, foreign, late])
      expect(await Promise.all(wrong.map(find))).toEqual(names.map(() => undefined))
  })

  test('never accept a session after the response that ended it, among 64 concurrent clients', async () => {
    const rounds = kind === 'PostgreSQL' ? 10 : 2
    const application = await openTestApplication(kind)
    closing.push(application.close)
    const admin = await userId(application)
    const accepted: string[] = []
    const client = async () => {
      for (let round = 0; round < rounds; round++) {
        const id = crypto.randomUUID()
        await application.sql(`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
          VALUES ('${id}', '${admin}', now(), now(), now() + interval '1 day')`)
        const key = { id, userId: admin, username: 'admin', now: new Date(application.clock.now) }
        const { database } = application.deps
        if (!(await database.findActiveSession(key))) accepted.push(`${id} was not accepted`)
        // Another client asks for the same session meanwhile.
        const concurrent = database.findActiveSession(key)
        await database.sessions.endSession(id, key.now)
        if (await database.findActiveSession(key)) accepted.push(`${id} was accepted after its end`)
        await concurrent
      }
    }
    await Promise.all(Array.from({ length: 64 }, client))
    expect(accepted).toEqual([])
  })
})

async function userId({ sql }: Awaited<ReturnType<typeof openTestApplication>>): Promise<string> {
  const [row] = await sql(`SELECT id FROM users WHERE username = 'admin'`)
  return String(row?.id)
}
