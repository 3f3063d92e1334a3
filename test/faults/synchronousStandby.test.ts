import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { login, me, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { password } from './load.ts'

const poolSize = 4
/** Two more than DATABASE_POOL_SIZE. */
const mostBackends = poolSize + 2
/** Milliseconds: two rounds of changes that are given up. */
const outage = 10_000
const standby = 'a_standby_that_is_gone'
const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

describe('a server whose required synchronous standby is gone', () => {
  let database: PostgresqlServer
  let administration: postgres.Sql
  let server: Server
  let token: string

  beforeAll(async () => {
    database = await startServer(['fsync=off', 'max_connections=30'])
    administration = postgres(database.url, { max: 1, onnotice: () => {} })
    await administration`CREATE ROLE app LOGIN`
    await administration`CREATE ROLE other LOGIN`
    await administration`CREATE DATABASE app OWNER app`
  })

  beforeEach(async () => {
    const url = `postgresql://app@127.0.0.1:${database.port}/app`
    server = await serve({ environment: { ...environment, DATABASE_URL: url, DATABASE_POOL_SIZE: String(poolSize) } })
    token = ((await (await login(server.url, 'admin', password)).json()) as { access_token: string }).access_token
  })

  afterEach(async () => {
    await requireStandby('')
    await server?.stop()
  })

  afterAll(async () => {
    await administration?.end({ timeout: 1 })
    await database?.stop()
  })

  async function requireStandby(name: string): Promise<void> {
    await administration.unsafe(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
    await administration`SELECT pg_reload_conf()`
    while ((await administration`SHOW synchronous_standby_names`)[0]?.synchronous_standby_names !== name) {}
  }

  const backends = async () =>
    Number((await administration`SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'`)[0]?.count)
  const waiting = async () =>
    Number((await administration`SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)[0]?.count)

  /** Returns whether a backend waits for the standby before the change ends. */
  async function waits(change: Promise<unknown>): Promise<boolean> {
    let isOver = false
    const end = () => {
      isOver = true
    }
    change.then(end, end)
    while (!isOver) {
      if ((await waiting()) > 0) return true
      await Bun.sleep(10)
    }
    return false
  }

  /** Samples the backends of the server while changes are made, and the statuses of reads. */
  async function changeDuring(milliseconds: number): Promise<{ most: number; reads: Set<number>; changes: number[] }> {
    const until = performance.now() + milliseconds
    const reads = new Set<number>()
    const changes: number[] = []
    let most = 0
    const repeat = async (work: () => Promise<unknown>) => {
      while (performance.now() < until) await work()
    }
    const change = async () => void changes.push((await login(server.url, 'admin', password)).status)
    const read = async () => {
      reads.add((await me(server.url, token)).status)
      await Bun.sleep(20)
    }
    const sample = async () => {
      most = Math.max(most, await backends())
      await Bun.sleep(20)
    }
    await Promise.all([...Array.from({ length: 12 }, () => repeat(change)), repeat(read), repeat(sample)])
    return { most, reads, changes }
  }

  test('holds a bounded number of its connections, serves reads, and recovers at once', async () => {
    await requireStandby(standby)
    let first = login(server.url, 'admin', password)
    while (!(await waits(first))) first = login(server.url, 'admin', password)
    const { most, reads, changes } = await changeDuring(outage)
    expect(most).toBeLessThanOrEqual(mostBackends)
    expect(reads).toEqual(new Set([200]))
    expect(new Set([...changes, (await first).status])).toEqual(new Set([503]))
    const other = postgres(`postgresql://other@127.0.0.1:${database.port}/app`, { max: 1 })
    expect(await other`SELECT 1 AS one`).toHaveLength(1)
    await other.end()
    await requireStandby('')
    const statuses = await Promise.all(Array.from({ length: 12 }, () => login(server.url, 'admin', password)))
    expect(new Set(statuses.map(({ status }) => status))).toEqual(new Set([200]))
    expect(server.output.stdout).not.toContain('process.stray_error')
  })

  test('leaves nothing waiting on it after a shutdown', async () => {
    await requireStandby(standby)
    const change = () =>
      Promise.all(Array.from({ length: 6 }, () => login(server.url, 'admin', password).catch(() => undefined)))
    let changes = change()
    while (!(await waits(changes))) changes = change()
    await server.stop()
    await changes
    await until(async () => (await backends()) === 0)
  })

  test('returns 503 for a change whose wait another role has canceled', async () => {
    await requireStandby(standby)
    let answer = login(server.url, 'admin', password)
    while (!(await waits(answer))) answer = login(server.url, 'admin', password)
    await until(async () => {
      await administration`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`
      return (await waiting()) === 0
    })
    expect((await answer).status).toBe(503)
  })
})
