import { readFileSync } from 'node:fs'
import postgres from 'postgres'
import { serve } from '../test/binary/binary.ts'
import { type Answer, openClient } from '../test/failover/client.ts'
import { startServer } from '../test/postgresqlServer.ts'

/**
 * `bun bench/sizes.ts`: the constants of docs/scaling.md. Bytes per user and session, and WAL and
 * CPU time per request, on USERS users with 1.5 sessions each. DATABASE_URL is an empty
 * database of a superuser on this machine, instead of a new server.
 */
const users = Number(process.env.USERS ?? 100_000)
const operations = Number(process.env.OPERATIONS ?? 200)
const sessions = users * 1.5
const password = 'a long enough pass phrase'

const own = process.env.DATABASE_URL ? undefined : await startServer(['max_wal_size=8GB', 'autovacuum=off'])
const url = process.env.DATABASE_URL ?? own?.url ?? ''
const sql = postgres(url, { max: 1, onnotice: () => {} })
const server = await serve({
  environment: {
    DATABASE_URL: url,
    SECRET_KEY: 'k'.repeat(32),
    ADMIN_PASSWORD: password,
    PASSWORD_MEMORY_KIB: '8192',
    PASSWORD_TIME_COST: '1',
    TRUSTED_PROXIES: '127.0.0.1',
    LOG_REQUESTS: 'off',
  },
})
const ask = openClient(server.url)

try {
  await fill()
  console.log(`| per | bytes |\n|---|---|`)
  console.log(
    `| user | ${await bytesPer('users', users)} + ${await bytesPer('audittrail_sign_ins', users)} for the last sign-in |`,
  )
  console.log(`| session | ${await bytesPer('audittrail_sessions', sessions)} |`)
  console.log(
    '\n| request | WAL just after a checkpoint, bytes | later | PostgreSQL CPU, ms | AuditTrail CPU with a hash of 8 MiB, ms |\n|---|---|---|---|---|',
  )
  const names = await sampleUsernames()
  const refreshTokens: string[][] = [[], []]
  const accessTokens: string[][] = [[], []]
  const form = (fields: Record<string, string>) => ({ form: fields })
  await report('sign-in with a refresh token', [names, names], async (username, pass) => {
    const body = await must(200, ask('POST', '/auth/login', form({ username, password, scope: 'offline_access' })))
    refreshTokens[pass]?.push(String(body.refresh_token))
    accessTokens[pass]?.push(String(body.access_token))
  })
  const successors: string[] = []
  await report('refresh', [refreshTokens[0] ?? [], successors], async (token) => {
    const body = await must(200, ask('POST', '/auth/refresh', form({ refresh_token: token })))
    if (successors.length < operations) successors.push(String(body.refresh_token))
  })
  await report('request with a token', accessTokens, (token) => must(200, ask('GET', '/auth/me', { token })))
  const many = Array.from({ length: 20 }, () => accessTokens.flat()).flat()
  await reportConcurrent('the same, 32 at a time', many, (token) => must(200, ask('GET', '/auth/me', { token })))
  await report('logout', accessTokens, (token) => must(204, ask('POST', '/auth/logout', { token })))
} finally {
  await server.stop()
  await sql.end()
  await own?.stop()
}

/** Copies a real user and a real session, so that rows have the bytes of real ones. */
async function fill(): Promise<void> {
  await must(200, ask('POST', '/auth/login', { form: { username: 'admin', password, scope: 'offline_access' } }))
  await sql`INSERT INTO users (username, hashed_password, full_name)
    SELECT 'someone' || n || '@example.com', hashed_password, 'Ada Lovelace ' || n FROM users, generate_series(1, ${users}) AS n`
  await sql`INSERT INTO audittrail_sign_ins SELECT id, now() FROM users WHERE username LIKE 'someone%'`
  const agent = 'x'.repeat(110)
  await sql`INSERT INTO audittrail_sessions
    SELECT (jsonb_populate_record(original,
      jsonb_build_object('id', gen_random_uuid(), 'user_id', owner.id, 'user_agent', ${agent}::text))).*
    FROM audittrail_sessions AS original, generate_series(1, 2) AS n,
      (SELECT id, row_number() OVER () AS at FROM users WHERE username LIKE 'someone%') AS owner
    WHERE n = 1 OR at % 2 = 0`
  await sql`VACUUM ANALYZE`
}

async function must(expected: number, asked: Promise<Answer>): Promise<Answer['body']> {
  const { status, body } = await asked
  if (status !== expected) throw new Error(`the server returned ${status}, not ${expected}: ${body.detail}`)
  return body
}

async function bytesPer(table: string, rows: number): Promise<string> {
  const [row] = await sql`
    SELECT pg_table_size(${table}::regclass)::float AS heap, pg_indexes_size(${table}::regclass)::float AS indexes`
  return `${Math.round(row?.heap / rows)} + ${Math.round(row?.indexes / rows)} of indexes`
}

async function sampleUsernames(): Promise<string[]> {
  const rows = await sql`
    SELECT username FROM users WHERE username LIKE 'someone%' ORDER BY random() LIMIT ${operations}`
  return rows.map(({ username }) => username)
}

/** The first pass runs just after a checkpoint, the second one on pages that are in the WAL. */
async function report<T>(
  name: string,
  passes: readonly (readonly T[])[],
  operation: (item: T, pass: number) => Promise<unknown>,
): Promise<void> {
  await sql`CHECKPOINT`
  const before = await cpu()
  const bytes: number[] = []
  for (const [pass, items] of passes.entries()) {
    const start = await walPosition()
    // A copy, since the first pass may make the items of the second one.
    for (const item of [...items]) await operation(item, pass)
    bytes.push(Math.round(((await walPosition()) - start) / operations))
  }
  print(name, bytes, before, await cpu(), operations * passes.length)
}

async function reportConcurrent<T>(name: string, items: readonly T[], operation: (item: T) => Promise<unknown>) {
  const before = await cpu()
  const queue = [...items]
  const run = async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) await operation(item)
  }
  await Promise.all(Array.from({ length: 32 }, run))
  print(name, ['', ''], before, await cpu(), items.length)
}

function print(name: string, bytes: readonly unknown[], before: Cpu, after: Cpu, count: number): void {
  const costs = [after.database - before.database, after.service - before.service]
  console.log(`| ${[name, ...bytes, ...costs.map((cost) => (cost / count).toFixed(3))].join(' | ')} |`)
}

async function walPosition(): Promise<number> {
  const [row] = await sql`SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float AS bytes`
  return row?.bytes ?? 0
}

interface Cpu {
  readonly database: number
  readonly service: number
}

/** CPU time of AuditTrail and of PostgreSQL's processes that serve it, in milliseconds. */
async function cpu(): Promise<Cpu> {
  const rows =
    await sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
  return { database: rows.reduce((sum, { pid }) => sum + cpuOf(pid), 0), service: cpuOf(server.process.pid ?? 0) }
}

function cpuOf(id: number): number {
  const fields = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}
