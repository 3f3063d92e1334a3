import postgres from 'postgres'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'
import { type Database, openDatabase } from '../../src/db/database.ts'
import { openPool } from '../../src/db/pool/pool.ts'
import { createSessionId } from '../../src/domain/sessions/sessionId.ts'
import { startServer } from '../../test/postgresqlServer.ts'
import type { Row } from '../report/row.ts'

/** Users of the two databases. Sessions are one and a half times as many. */
const [small = 1000, big = 1_000_000] = (process.env.LAYOUT ?? '').split(',').filter(Boolean).map(Number)
const operations = Number(process.env.OPERATIONS ?? '2000')
const day = 86_400_000
const churned = 100_000

interface Site {
  readonly database: Database
  readonly client: postgres.Sql
  readonly users: number
  /** Sessions in random order. */
  readonly sessions: readonly Session[]
}

interface Session {
  readonly id: string
  readonly userId: string
  readonly username: string
}

/**
 * What a statement costs with many users and sessions, and the WAL of a refresh. On the server of
 * LAYOUT_DATABASE_URL, whose databases `layout_…` it replaces, or on one of its own.
 */
export async function measureLayout(): Promise<Row[]> {
  const given = process.env.LAYOUT_DATABASE_URL
  const server = given ? undefined : await startServer(['fsync=off', 'max_wal_size=8GB', 'shared_buffers=512MB'])
  const url = given ?? server?.url ?? ''
  const sites: Site[] = []
  try {
    for (const users of [small, big]) sites.push(await openSite(url, users))
    const rows = [...(await measureStatements(sites)), ...(await measureRefreshes(url))]
    return rows
  } finally {
    for (const { database, client } of sites) {
      await database.close()
      await client.end()
    }
    await server?.stop()
  }
}

async function openDatabaseOf(url: string, name: string): Promise<Pick<Site, 'database' | 'client'>> {
  const administration = postgres(url, { max: 1, onnotice: () => {} })
  await administration.unsafe(`DROP DATABASE IF EXISTS ${name}`)
  await administration.unsafe(`CREATE DATABASE ${name}`)
  await administration.end()
  const own = new URL(url)
  own.pathname = `/${name}`
  const database = openDatabase(openPool({ kind: 'server', address: parseDatabaseUrl(own.href), poolSize: 2 }))
  await database.migrate()
  await database.instance.insertInstance()
  return { database, client: postgres(own.href, { max: 1, onnotice: () => {} }) }
}

async function openSite(url: string, users: number): Promise<Site> {
  const { database, client } = await openDatabaseOf(url, `layout_${users}`)
  await client`INSERT INTO users (username, hashed_password, full_name)
    SELECT 'user' || n, '!', 'Given' || n || ' Family' || n FROM generate_series(1, ${users}::integer) n`
  await fillSessions(client, users * 1.5)
  await client`VACUUM ANALYZE`
  const rows = await client<{ id: string; user_id: string; username: string }[]>`
    SELECT s.id, s.user_id, u.username FROM audittrail_sessions s JOIN users u ON u.id = s.user_id
    ORDER BY random() LIMIT ${operations}`
  return { database, client, users, sessions: rows.map(({ user_id: userId, ...row }) => ({ ...row, userId })) }
}

async function fillSessions(client: postgres.Sql, sessions: number): Promise<void> {
  await client`SET synchronous_commit = off`
  await client`INSERT INTO audittrail_sessions
      (id, user_id, created_at, last_used_at, expires_at, refresh_generation, address, user_agent, sweep_at, epoch)
    SELECT gen_random_uuid(), ids[1 + n % cardinality(ids)], now(), now(), now() + interval '14 days', 0, '192.0.2.7',
           'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', now() + interval '30 days', 0
    FROM (SELECT array_agg(id) AS ids FROM users) u, generate_series(1, ${Math.round(sessions)}::integer) n`
}

type Statement = (site: Site, session: Session) => Promise<unknown>

const statements: Readonly<Record<string, Statement>> = {
  check: ({ database }, { id, userId, username }) =>
    database.findActiveSession({ id, userId, username, now: new Date() }),
  login: ({ database }, { userId }) => {
    const [now, later] = [new Date(), new Date(Date.now() + 30 * day)]
    const client = { address: '192.0.2.7', userAgent: 'Mozilla/5.0' }
    return database.signIns.insertSession({
      ...client,
      id: createSessionId(now.getTime()),
      userId,
      verifiedHash: '!',
      now,
      expiresAt: later,
      sweepAt: later,
      refreshGeneration: 0,
    })
  },
  refresh: ({ database }, { id }) => rotate(database, id, 0),
  list: ({ database }) => database.users.listUsers({ after: 'user5', limit: 51, search: undefined }),
  'search by username': ({ database }, { username }) =>
    database.users.listUsers({ after: undefined, limit: 51, search: username }),
  'search by name': ({ database }, { username }) =>
    database.users.listUsers({ after: undefined, limit: 51, search: username.replace('user', 'family') }),
}

function rotate(database: Database, id: string, generation: number): Promise<unknown> {
  const now = Date.now()
  return database.sessions.rotate({
    id,
    generation,
    now: new Date(now),
    retryableSince: new Date(now - 10_000),
    createdAfter: new Date(now - 30 * day),
    idle: 14 * day,
    lifetime: 30 * day,
  })
}

/** Each session once at each site, in parts that take turns. */
async function measureStatements(sites: readonly Site[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const [name, statement] of Object.entries(statements)) {
    const spent = sites.map(() => [] as number[])
    for (let start = 0; start < operations; start += operations / 10) {
      for (const [index, site] of sites.entries()) {
        const began = performance.now()
        // A database with few sessions takes them in turn.
        for (let at = start; at < start + operations / 10; at++)
          await statement(site, site.sessions[at % site.sessions.length] as Session)
        spent[index]?.push((performance.now() - began) / (operations / 10))
      }
    }
    const [basis = [], values = []] = spent
    rows.push(
      { what: `${name}, ${big} users, ms`, values },
      {
        what: `${name}, to ${small} users`,
        values: values.map((value, index) => value / (basis[index] ?? Number.NaN)),
      },
    )
  }
  for (const { database, users } of sites) {
    const began = performance.now()
    await database.migrate()
    await database.completeIndexes()
    const migrated = performance.now()
    const key = { algorithm: 'HS256', kid: null, publicKey: null, privateKey: null }
    await database.signingKeys.resetKeys({ ...key, fingerprint: 'fingerprint', now: new Date() })
    rows.push(
      { what: `migrate with nothing to do, ${users} users, ms`, values: [migrated - began] },
      { what: `key reset, ${users} users, ms`, values: [performance.now() - migrated] },
    )
  }
  return rows
}

/** Three rounds of refreshes, a checkpoint, and one refresh of each session in random order. */
async function measureRefreshes(url: string): Promise<Row[]> {
  const { database, client } = await openDatabaseOf(url, 'layout_churn')
  await client`INSERT INTO users (username, hashed_password, full_name)
    SELECT 'user' || n, '!', 'User ' || n FROM generate_series(1, ${churned}::integer) n`
  await fillSessions(client, churned)
  await client`VACUUM ANALYZE`
  const ids = await client<{ id: string }[]>`SELECT id FROM audittrail_sessions ORDER BY random()`
  const round = async (generation: number) => {
    for (let start = 0; start < ids.length; start += 8)
      await Promise.all(ids.slice(start, start + 8).map(({ id }) => rotate(database, id, generation)))
  }
  for (const generation of [0, 1, 2]) await round(generation)
  await client`CHECKPOINT`
  const [before] = await client`SELECT pg_current_wal_insert_lsn() AS lsn`
  await round(3)
  const [after] = await client`SELECT (pg_current_wal_insert_lsn() - ${before?.lsn}::pg_lsn)::float8 AS bytes`
  await Bun.sleep(1500)
  const [updates] = await client`SELECT n_tup_upd::float8 AS all, n_tup_hot_upd::float8 AS hot FROM pg_stat_user_tables
    WHERE relname = 'audittrail_sessions'`
  await database.close()
  await client.end()
  return [
    { what: 'WAL per refresh, kB', values: [after?.bytes / ids.length / 1000] },
    { what: 'session updates that are HOT, %', values: [(100 * updates?.hot) / updates?.all] },
  ]
}
