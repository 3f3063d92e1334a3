import { afterEach, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import journal from '../../../drizzle/meta/_journal.json'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { type Database, openDatabase } from '../../../src/db/database.ts'
import { migrations } from '../../../src/db/migrations/migrate.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import { createDatabase } from '../../postgresql.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Opened {
  readonly database: Database
  readonly client: postgres.Sql
  /** Opens the database of another replica. */
  openReplica(): Database
}

/** A database as the version before the migration `0008_layout` left it. */
async function openOlder(rows = 0, poolSize = 2): Promise<Opened> {
  const url = await createDatabase()
  const client = postgres(url, { max: 2, onnotice: () => {} })
  closing.push(() => client.end())
  const openReplica = () => {
    const database = openDatabase(openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize }))
    closing.push(() => database.close())
    return database
  }
  const database = openReplica()
  await client`CREATE TABLE audittrail_migrations (
    created_at bigint PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`
  for (const { statements, createdAt, hash } of migrations.slice(0, 8)) {
    for (const statement of statements) await client.unsafe(statement)
    await client`INSERT INTO audittrail_migrations (created_at, hash) VALUES (${createdAt}, ${hash})`
  }
  // Large by its bytes, with few rows.
  await client`INSERT INTO users (username, hashed_password, full_name)
    SELECT 'user' || n, '!', 'Of Many' FROM generate_series(1, ${Math.max(1, rows)}) n`
  await client`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at, user_agent)
    SELECT gen_random_uuid(), (SELECT id FROM users LIMIT 1), now(), now(), now() + interval '1 day', repeat('x', 1000)
    FROM generate_series(1, ${rows})`
  return { database, client, openReplica }
}

const large = 16_000
const created = ['audittrail_sessions_sweep_at', 'audittrail_sessions_unscheduled', 'users_full_name_words']
const dropped = 'audittrail_sessions_expires_at'

async function indexesOf({ client }: Opened): Promise<string[]> {
  const rows = await client`SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
    WHERE relname IN ('audittrail_sessions_sweep_at', 'audittrail_sessions_unscheduled', 'users_full_name_words', ${dropped})
      AND indisvalid ORDER BY relname`
  return rows.map(({ relname }) => String(relname))
}

test('the list of migrations is that of the folder', () => {
  expect(migrations).toHaveLength(journal.entries.length)
  expect(readFileSync(join(import.meta.dir, '../../../drizzle/0008_layout.sql'), 'utf8')).toContain(dropped)
})

describe('migrate', () => {
  test('builds the indexes of small tables at once', async () => {
    const opened = await openOlder()
    await opened.database.migrate()
    expect(await indexesOf(opened)).toEqual(created)
    expect(await opened.database.completeIndexes()).toBe(0)
  })

  test('leaves the indexes of a large table for later, and then builds them', async () => {
    const opened = await openOlder(large)
    await opened.database.migrate()
    expect(await indexesOf(opened)).toEqual([dropped, 'users_full_name_words'])
    expect(await opened.database.completeIndexes()).toBe(0)
    expect(await indexesOf(opened)).toEqual(created)
    const [limits] = await opened.client`SELECT count(*)::int AS count FROM pg_locks
      WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
    expect(limits?.count).toBe(0)
  })

  test('gives up its place while a long transaction uses a table, and others continue', async () => {
    const opened = await openOlder()
    const { database, client } = opened
    const dump = await client.reserve()
    await dump`BEGIN`
    await dump`SELECT count(*) FROM audittrail_sessions`
    let isMigrated = false
    const migrating = database.migrate().then((report) => {
      isMigrated = true
      return report
    })
    // Behind a place in the queue of locks that is not given up, a read would wait for the dump.
    for (let read = 0; read < 30; read++) {
      await client`SELECT count(*) FROM audittrail_sessions`
      await Bun.sleep(50)
    }
    expect(isMigrated).toBe(false)
    await dump`COMMIT`
    dump.release()
    expect((await migrating).applied).toBe(migrations.length - 8)
    expect(await indexesOf(opened)).toEqual(created)
  })
})

describe('indexes of a large table', () => {
  test('that were interrupted are built again', async () => {
    const opened = await openOlder(large)
    await opened.database.migrate()
    await opened.client`CREATE INDEX audittrail_sessions_sweep_at ON audittrail_sessions (sweep_at)`
    await opened.client`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audittrail_sessions_sweep_at'::regclass`
    expect(await opened.database.completeIndexes()).toBe(0)
    expect(await indexesOf(opened)).toEqual(created)
    const [row] = await opened.client`SELECT pg_get_indexdef('audittrail_sessions_sweep_at'::regclass) AS definition`
    expect(row?.definition).toContain('WHERE (sweep_at IS NOT NULL)')
  })

  test('are built by one of several replicas', async () => {
    const opened = await openOlder(large)
    await opened.database.migrate()
    const replicas = [opened.database, ...Array.from({ length: 5 }, opened.openReplica)]
    const remaining = await Promise.all(replicas.map((database) => database.completeIndexes()))
    expect(Math.min(...remaining)).toBe(0)
    expect(await indexesOf(opened)).toEqual(created)
  })

  test('are dropped by one of several replicas, however long that takes', async () => {
    const opened = await openOlder(large)
    const { database, client, openReplica } = opened
    await database.migrate()
    await client`CREATE INDEX audittrail_sessions_sweep_at ON audittrail_sessions (sweep_at)`
    await client`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audittrail_sessions_sweep_at'::regclass`
    const writer = await client.reserve()
    await writer`BEGIN`
    await writer`LOCK TABLE audittrail_sessions IN ROW EXCLUSIVE MODE`
    const completing = database.completeIndexes()
    const drops = () =>
      client`SELECT FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'`
    while ((await drops()).length === 0) await Bun.sleep(10)
    expect(await openReplica().completeIndexes()).toBeGreaterThan(0)
    expect(await drops()).toHaveLength(1)
    await writer`COMMIT`
    writer.release()
    expect(await completing).toBe(0)
    expect(await indexesOf(opened)).toEqual(created)
  })

  test('do not block writes while they are built', async () => {
    const opened = await openOlder(large)
    const { database, client } = opened
    await database.migrate()
    const writer = await client.reserve()
    await writer`BEGIN`
    await writer`UPDATE audittrail_sessions SET last_used_at = now() WHERE id = (SELECT id FROM audittrail_sessions LIMIT 1)`
    const completing = database.completeIndexes()
    for (let isWaiting = false; !isWaiting; ) {
      const rows =
        await client`SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'`
      isWaiting = rows.length > 0
    }
    // A blocked update would wait until the transaction ends.
    await client`SET statement_timeout = 20000`
    expect(
      (
        await client`UPDATE audittrail_sessions SET last_used_at = now() WHERE id <> (SELECT id FROM audittrail_sessions LIMIT 1) RETURNING id`
      ).length,
    ).toBe(large - 1)
    await writer`COMMIT`
    writer.release()
    expect(await completing).toBe(0)
    expect(await indexesOf(opened)).toEqual(created)
  })

  test.each([1, 2])('leave the other operations their connections in a pool of %d', async (poolSize) => {
    const opened = await openOlder(large, poolSize)
    const { database, client } = opened
    await database.migrate()
    const writer = await client.reserve()
    await writer`BEGIN`
    await writer`UPDATE audittrail_sessions SET last_used_at = now() WHERE id = (SELECT id FROM audittrail_sessions LIMIT 1)`
    const completing = [database.completeIndexes(), database.completeIndexes()]
    const backends = () =>
      client`SELECT query, wait_event_type FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'audittrail'`
    for (let isWaiting = false; !isWaiting; )
      isWaiting = (await backends()).some(
        (row) => row.query.startsWith('CREATE INDEX CONCURRENTLY') && row.wait_event_type === 'Lock',
      )
    const work = () => [database.instance.readTime(), database.findApiKey('none'), database.instance.isSeeded()]
    await Promise.all(Array.from({ length: 20 }, work).flat())
    expect((await backends()).length).toBeLessThanOrEqual(poolSize + 2)
    await writer`COMMIT`
    writer.release()
    expect(await Promise.all(completing)).toEqual([0, 0])
    expect(await indexesOf(opened)).toEqual(created)
    while ((await backends()).length > poolSize) {}
  })

  test('are built later if the database closes first', async () => {
    const opened = await openOlder(large)
    const { database, client } = opened
    await database.migrate()
    const writer = await client.reserve()
    await writer`BEGIN`
    await writer`UPDATE audittrail_sessions SET last_used_at = now() WHERE id = (SELECT id FROM audittrail_sessions LIMIT 1)`
    const completing = database.completeIndexes().catch(({ code }) => code)
    const builders = () =>
      client`SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'`
    while ((await builders()).length === 0) {}
    await database.close()
    expect(await completing).toBe('unavailable')
    while ((await builders()).length > 0) {}
    await writer`COMMIT`
    writer.release()
    expect(await opened.openReplica().completeIndexes()).toBe(0)
    expect(await indexesOf(opened)).toEqual(created)
  })

  test('are left alone after a newer version migrated', async () => {
    const opened = await openOlder()
    await opened.database.migrate()
    await opened.client`INSERT INTO audittrail_migrations (created_at, hash) VALUES (9999999999999, 'newer')`
    await opened.client`DROP INDEX audittrail_sessions_unscheduled`
    expect(await opened.database.completeIndexes()).toBe(0)
    expect(await indexesOf(opened)).not.toContain('audittrail_sessions_unscheduled')
  })
})
