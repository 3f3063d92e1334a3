import { afterEach, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'
import { openPool, type Pool } from '../../src/db/pool/pool.ts'
import { AppError } from '../../src/error.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { type FaultProxy, startFaultProxy } from './faultProxy.ts'
import { startPooler } from './pooler.ts'

/** A statement that waits while the lock is held, and says which server it ran on. */
const waiting = `SELECT pg_advisory_xact_lock(1), current_setting('port') AS port`

const outcomeOf = (work: Promise<unknown>) => work.catch(({ code }) => code)

describe.skipIf(!hasProgram('pgbouncer', 'pgbouncer'))('a connection to PgBouncer that is given up', () => {
  const closing: (() => unknown)[] = []

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  }, 60_000)

  async function startWay({ port }: PostgresqlServer): Promise<FaultProxy> {
    const pooler = await startPooler(port)
    const way = await startFaultProxy(pooler.port)
    closing.push(pooler.stop, way.stop)
    return way
  }

  /** Holds the lock for which the statements wait. */
  async function lock({ url }: PostgresqlServer) {
    const locker = postgres(url, { max: 1, onnotice: () => {} })
    closing.push(() => locker.end({ timeout: 1 }))
    await locker`SELECT pg_advisory_lock(1)`
    const untilWaiting = async (expected: number) => {
      for (let count = -1; count !== expected; ) {
        const rows = await locker`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
        count = rows.length
        await Bun.sleep(10)
      }
    }
    return { untilWaiting, unlock: () => locker`SELECT pg_advisory_unlock(1)` }
  }

  function open(ways: readonly FaultProxy[], poolSize: number, fenced = () => {}): Pool {
    const hosts = ways.map(({ port }) => `127.0.0.1:${port}`).join(',')
    const address = parseDatabaseUrl(`postgresql://postgres@${hosts}/postgres?pgbouncer=true`)
    const pool = openPool({ kind: 'server', address, poolSize }, { failed() {}, succeeded() {}, fenced })
    closing.push(pool.close)
    return pool
  }

  test('has none of its results used after a failover, even if no cancel request arrives', async () => {
    const first = await startServer(['fsync=off'])
    closing.push(first.stop)
    const second = await first.startStandby()
    closing.push(second.stop)
    const oldWay = await startWay(first)
    const newWay = await startWay(second)
    const { promise: fenced, resolve } = Promise.withResolvers<void>()
    const pool = open([oldWay, newWay], 3, resolve)
    const { untilWaiting, unlock } = await lock(first)
    const portOf: Parameters<typeof pool.run<string>>[0] = async ({ client }) => (await client.unsafe(waiting))[0]?.port
    const change = outcomeOf(pool.run(portOf, 'unlimited'))
    const rejection = outcomeOf(
      pool.run(async (connection) => {
        await portOf(connection)
        throw new AppError('not_found', 'There is no such row.')
      }, 'unlimited'),
    )
    const read = outcomeOf(pool.read(portOf, 60_000))
    await untilWaiting(3)
    oldWay.be('silent')
    const administration = postgres(second.url, { max: 1, onnotice: () => {} })
    closing.push(() => administration.end({ timeout: 1 }))
    await administration`SELECT pg_promote()`
    await fenced
    await unlock()
    expect(await change).toBe('unavailable')
    expect(await rejection).toBe('unavailable')
    expect(await read).toBe(String(second.port))
  }, 60_000)

  test('has its statement canceled once a cancel request arrives, however late', async () => {
    const server = await startServer(['fsync=off'])
    closing.push(server.stop)
    const way = await startWay(server)
    const pool = open([way], 1)
    const { untilWaiting } = await lock(server)
    await pool.run(({ client }) => client`SELECT 1`)
    way.be('silent')
    expect(await outcomeOf(pool.read(({ client }) => client.unsafe(waiting), 500))).toBe('unavailable')
    await untilWaiting(1)
    // A further attempt means that the first has failed.
    for (const attempts = way.connections + 2; way.connections < attempts; ) await Bun.sleep(10)
    way.be('pass')
    await untilWaiting(0)
  }, 60_000)
})
