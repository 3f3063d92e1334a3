import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { type Server, serve } from '../binary/binary.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { type Fault, type FaultProxy, startFaultProxy } from './faultProxy.ts'
import { type Load, password, startLoad } from './load.ts'

const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}
/** Milliseconds that an answer may take at worst, and until all is well when the cause has ended. */
const limits = { answer: 6000, recovery: 5000 }

let database: PostgresqlServer
let proxy: FaultProxy
let direct: Server
let proxied: Server
/** Of a superuser, made anew for each test. */
let administration: postgres.Sql

/** The database of the tests, as its application's role sees it. */
const urlAt = (port: number) => `postgresql://app:first@127.0.0.1:${port}/app`

beforeEach(() => {
  administration = postgres(database.url.replace(/postgres$/, 'app'), { max: 1, onnotice: () => {} })
})

afterEach(() => administration.end({ timeout: 1 }))

beforeAll(async () => {
  database = await startServer(['fsync=off', 'max_connections=60'])
  const rules = join(database.data, 'pg_hba.conf')
  writeFileSync(rules, `host all app 127.0.0.1/32 scram-sha-256\n${readFileSync(rules, 'utf8')}`)
  const bootstrap = postgres(database.url, { max: 1 })
  await bootstrap`CREATE ROLE app LOGIN PASSWORD 'first'`
  await bootstrap`CREATE DATABASE app OWNER app`
  await bootstrap`SELECT pg_reload_conf()`
  await bootstrap.end()
  proxy = await startFaultProxy(database.port)
  direct = await serve({ environment: { ...environment, DATABASE_URL: urlAt(database.port) } })
  proxied = await serve({ environment: { ...environment, DATABASE_URL: urlAt(proxy.port) } })
})

afterAll(async () => {
  for (const server of [direct, proxied]) await server?.stop()
  await proxy?.stop()
  await database?.stop()
})

interface Outcome {
  readonly load: Load
  readonly refused: number
  readonly recovery: number
}

/** Plays a fault under load, and holds the server to what is promised of every one. */
async function endure(server: Server, fault: () => Promise<unknown>): Promise<Outcome> {
  const load = await startLoad(server)
  await Bun.sleep(300)
  await fault()
  const recovery = await load.untilHealthy()
  await Bun.sleep(300)
  const settled = load.answers.length
  await Bun.sleep(500)
  await load.stop()
  await load.verify()
  expect(server.process.exitCode).toBeNull()
  const wrong = load.answers.filter(({ what, status }) => ![200, 204, 503].includes(status) && what !== 'verify')
  expect(wrong).toEqual([])
  expect(Math.max(...load.answers.map(({ milliseconds }) => milliseconds))).toBeLessThan(limits.answer)
  expect(recovery).toBeLessThan(limits.recovery)
  // Once it is well it stays well.
  expect(load.answers.slice(settled).filter(({ status }) => status === 503)).toEqual([])
  return { load, recovery, refused: load.answers.filter(({ status }) => status === 503).length }
}

describe('the server of the database', () => {
  test.each(['fast', 'immediate'] as const)('is restarted (%s)', async (mode) => {
    const { load } = await endure(direct, async () => {
      await database.halt(mode)
      await Bun.sleep(700)
      await database.restart()
    })
    expect(load.answers.some(({ status }) => status === 503)).toBe(true)
  })

  test('ends every connection again and again, every 30 ms', async () => {
    let most = 0
    const before = Number((await activity()).sessions)
    await endure(direct, async () => {
      const until = performance.now() + 3000
      while (performance.now() < until) {
        const ended = await administration`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid()`
        most = Math.max(most, ended.length)
        await Bun.sleep(30)
      }
    })
    expect(most).toBeLessThanOrEqual(20)
    // Two servers, five attempts a second and place at most.
    expect(Number((await activity()).sessions) - before).toBeLessThan(2 * 4 * 5 * 5)
  })

  test.each([
    ['its backends', () => database.backends()],
    ['all of it', () => [database.processId(), ...database.backends()]],
  ])('is frozen (%s)', async (_what, processes) => {
    const { refused } = await endure(direct, async () => {
      const frozen = processes()
      for (const id of frozen) process.kill(id, 'SIGSTOP')
      await Bun.sleep(6000)
      for (const id of frozen) process.kill(id, 'SIGCONT')
    })
    expect(refused).toBeGreaterThan(0)
    expect(await connectionsOf()).toBeLessThanOrEqual(10)
  })

  test.each(['users', 'audittrail_sessions'])('has %s locked by somebody else', async (table) => {
    let most = 0
    await endure(direct, async () => {
      await administration.begin(async (transaction) => {
        await transaction`LOCK TABLE ${transaction(table)} IN ACCESS EXCLUSIVE MODE`
        for (let look = 0; look < 10; look++) {
          const [row] = await transaction`SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'`
          most = Math.max(most, Number(row?.count))
          await Bun.sleep(500)
        }
      })
    })
    // Of two servers.
    expect(most).toBeLessThanOrEqual(20)
  })

  test('has no connection left for us', async () => {
    await endure(direct, async () => {
      await administration`ALTER ROLE app CONNECTION LIMIT 0`
      await administration`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`
      await Bun.sleep(1500)
      await administration`ALTER ROLE app CONNECTION LIMIT -1`
    })
  })

  test('takes no changes, as after a failover', async () => {
    const { load } = await endure(direct, async () => {
      await administration.unsafe('ALTER SYSTEM SET default_transaction_read_only = on')
      await administration`SELECT pg_reload_conf()`
      await Bun.sleep(1000)
      const during = await Promise.all([ready(direct), ready(direct)])
      expect(during).toEqual([503, 503])
      await administration.unsafe('BEGIN READ WRITE; SELECT 1; COMMIT')
      await administration.unsafe('ALTER SYSTEM RESET default_transaction_read_only')
      await administration`SELECT pg_reload_conf()`
    })
    expect(load.answers.some(({ what, status }) => what === 'me' && status === 503)).toBe(true)
  })

  test.each(['53100', '53200'])('has no disk or memory left for a change (%s)', async (sqlState) => {
    const { load } = await endure(direct, async () => {
      await administration.unsafe(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '${sqlState}'; END $$`)
      await administration`CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON audittrail_sessions
        FOR EACH ROW EXECUTE FUNCTION refuse()`
      await Bun.sleep(1000)
      await administration`DROP FUNCTION refuse CASCADE`
    })
    expect(load.answers.some(({ what, status }) => what === 'login' && status === 503)).toBe(true)
  })

  test('gives the role another password, and the old one back', async () => {
    await endure(direct, async () => {
      await administration`ALTER ROLE app PASSWORD 'second'`
      await administration`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`
      await Bun.sleep(1500)
      expect(await ready(direct)).toBe(503)
      await administration`ALTER ROLE app PASSWORD 'first'`
    })
  })
})

describe('the network to the database', () => {
  test.each<[string, Fault, number]>([
    ['accepts and never answers', 'hang', 6000],
    ['closes whoever begins to speak', 'close', 3000],
    ['breaks off in the middle of an answer', 'cut', 2000],
    ['gives half an answer', 'half', 6000],
    ['is slow', 700, 3000],
  ])('%s', async (_what, fault, milliseconds) => {
    const before = proxy.connections
    await endure(proxied, async () => {
      proxy.be(fault)
      await Bun.sleep(milliseconds)
      proxy.be('pass')
    })
    // Five attempts a second and place at most.
    expect(proxy.connections - before).toBeLessThan((4 * 5 * (milliseconds + 4000)) / 1000)
  })
})

async function ready({ url }: Server): Promise<number> {
  return (await fetch(`${url}/ready`)).status
}

async function activity() {
  const [row] = await administration`SELECT sessions FROM pg_stat_database WHERE datname = 'app'`
  return row ?? {}
}

async function connectionsOf(): Promise<number> {
  const [row] =
    await administration`SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name = 'audittrail'`
  return Number(row?.count)
}
