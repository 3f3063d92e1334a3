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
/** Two more than the default of DATABASE_POOL_SIZE. */
const mostConnections = 6
/** Milliseconds: the longest response time, and the longest recovery after the cause has ended. */
const limits = { answer: 6000, recovery: 5000 }

let database: PostgresqlServer
let proxy: FaultProxy
let direct: Server
let proxied: Server
/** A superuser's connection, opened for each test. */
let administration: postgres.Sql

/** The test database, as the application's role sees it. */
const urlAt = (port: number, name: string) => `postgresql://app:first@127.0.0.1:${port}/${name}`

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
  for (const name of ['app', 'proxied']) await bootstrap`CREATE DATABASE ${bootstrap(name)} OWNER app`
  await bootstrap`SELECT pg_reload_conf()`
  await bootstrap.end()
  proxy = await startFaultProxy(database.port)
  direct = await serve({ environment: { ...environment, DATABASE_URL: urlAt(database.port, 'app') } })
  proxied = await serve({ environment: { ...environment, DATABASE_URL: urlAt(proxy.port, 'proxied') } })
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

/** Injects a fault under load and checks what every fault must hold to. */
async function endure(server: Server, fault: () => Promise<unknown>): Promise<Outcome> {
  const load = await startLoad(server)
  const counting = countConnections(server === direct ? 'app' : 'proxied')
  await Bun.sleep(300)
  await fault()
  const recovery = await load.untilHealthy()
  await Bun.sleep(300)
  const settled = load.answers.length
  await Bun.sleep(300)
  await load.stop()
  await load.verify()
  expect(await counting.most()).toBeLessThanOrEqual(mostConnections)
  expect(server.process.exitCode).toBeNull()
  const wrong = load.answers.filter(({ what, status }) => ![200, 204, 503].includes(status) && what !== 'verify')
  expect(wrong).toEqual([])
  expect(Math.max(...load.answers.map(({ milliseconds }) => milliseconds))).toBeLessThan(limits.answer)
  expect(recovery).toBeLessThan(limits.recovery)
  // Once recovered, it stays healthy.
  expect(load.answers.slice(settled).filter(({ status }) => status === 503)).toEqual([])
  return { load, recovery, refused: load.answers.filter(({ status }) => status === 503).length }
}

describe('the database server', () => {
  test.each(['fast', 'immediate'] as const)('recovers from a restart (%s)', async (mode) => {
    const { load } = await endure(direct, async () => {
      await database.halt(mode)
      await Bun.sleep(700)
      await database.restart()
    })
    expect(load.answers.some(({ status }) => status === 503)).toBe(true)
  })

  test('recovers from connections terminated every 30 ms', async () => {
    const before = await sessionsSoFar()
    await endure(direct, async () => {
      const until = performance.now() + 3000
      while (performance.now() < until) {
        await endConnections()
        await Bun.sleep(30)
      }
    })
    // Four slots, five attempts a second each, for a little over three seconds.
    expect((await sessionsSoFar()) - before).toBeLessThan(4 * 5 * 5)
  })

  test.each([
    ['its backends', () => database.backends()],
    ['all of it', () => [database.processId(), ...database.backends()]],
  ])('recovers after it was frozen (%s)', async (_what, processes) => {
    const { refused } = await endure(direct, async () => {
      const frozen = processes()
      for (const id of frozen) process.kill(id, 'SIGSTOP')
      await Bun.sleep(6000)
      for (const id of frozen) process.kill(id, 'SIGCONT')
    })
    expect(refused).toBeGreaterThan(0)
  })

  test.each(['users', 'audittrail_sessions'])('recovers from a lock on %s held by someone else', async (table) => {
    const { refused } = await endure(direct, () =>
      administration.begin(async (transaction) => {
        await transaction`LOCK TABLE ${transaction(table)} IN ACCESS EXCLUSIVE MODE`
        await Bun.sleep(3500)
      }),
    )
    expect(refused).toBeGreaterThan(0)
  })

  test('recovers after it had no connection slot left for us', async () => {
    await endure(direct, async () => {
      await administration`ALTER ROLE app CONNECTION LIMIT 0`
      await endConnections()
      await Bun.sleep(1500)
      await administration`ALTER ROLE app CONNECTION LIMIT -1`
    })
  })

  test('recovers after it was read-only, as in a failover', async () => {
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

  test.each(['53100', '53200'])('recovers after it had no disk or memory left for a change (%s)', async (sqlState) => {
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

  test("recovers after the role's password changed and changed back", async () => {
    await endure(direct, async () => {
      await administration`ALTER ROLE app PASSWORD 'second'`
      await endConnections()
      await Bun.sleep(1500)
      expect(await ready(direct)).toBe(503)
      await administration`ALTER ROLE app PASSWORD 'first'`
    })
  })
})

describe('the network to the database', () => {
  test.each<[string, Fault, number]>([
    ['accepts connections and never responds', 'hang', 6000],
    ['closes connections after their first bytes', 'close', 3000],
    ['breaks connections mid-response', 'cut', 2000],
    ['delivers half a response', 'half', 6000],
    ['is slow', 700, 2000],
  ])('%s, and the server recovers', async (_what, fault, milliseconds) => {
    const before = proxy.connections
    await endure(proxied, async () => {
      proxy.be(fault)
      await Bun.sleep(milliseconds)
      proxy.be('pass')
    })
    // At most five attempts per second and slot.
    expect(proxy.connections - before).toBeLessThan((4 * 5 * (milliseconds + 4000)) / 1000)
  })
})

describe('after all database faults', () => {
  test('nothing was thrown uncaught, and the log has one line for each outage and recovery', () => {
    for (const { output } of [direct, proxied]) {
      const events = output.stdout.split('\n').map((line) => /"event":"([^"]+)"/.exec(line)?.[1])
      expect(events).not.toContain('process.stray_error')
      expect(events).not.toContain('request.failed')
      const told = events.filter((event) => event === 'database.unavailable' || event === 'database.available')
      expect(told.length).toBeGreaterThan(6)
      // At most a dozen faults, none longer than half a minute.
      expect(told.length).toBeLessThanOrEqual(40)
      expect(output.stderr).toBe('')
    }
  })
})

async function ready({ url }: Server): Promise<number> {
  return (await fetch(`${url}/ready`)).status
}

async function endConnections(): Promise<void> {
  await administration`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app' AND usename = 'app'`
}

async function sessionsSoFar(): Promise<number> {
  const [row] = await administration`SELECT sessions FROM pg_stat_database WHERE datname = 'app'`
  return Number(row?.sessions)
}

/** Samples the number of connections, in whatever state they are. */
function countConnections(name: string): { most(): Promise<number> } {
  const looking = postgres(database.url, { max: 1, connect_timeout: 1, onnotice: () => {} })
  let most = 0
  let isOver = false
  const loop = async () => {
    while (!isOver) {
      const rows =
        await looking`SELECT count(*) FROM pg_stat_activity WHERE datname = ${name} AND usename = 'app'`.catch(() => [])
      most = Math.max(most, Number(rows[0]?.count ?? 0))
      await Bun.sleep(50)
    }
  }
  const ended = loop()
  return {
    most: async () => {
      isOver = true
      await ended
      await looking.end({ timeout: 1 })
      return most
    },
  }
}
