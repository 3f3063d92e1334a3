import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { accessToken, login, me, run, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { type FaultProxy, startFaultProxy } from './faultProxy.ts'
import { password } from './load.ts'
import { startMachineClock } from './machineClock.ts'

/**
 * Milliseconds: until a higher timeline is obeyed, and from its first commit to the first login.
 */
const limits = { fence: 2000, recovery: 1000 }
const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

describe('a primary and its standby in DATABASE_URL', () => {
  let first: PostgresqlServer
  let second: PostgresqlServer
  /** The way to the second server. */
  let proxy: FaultProxy
  const others: PostgresqlServer[] = []
  const servers: Server[] = []

  beforeEach(async () => {
    first = await startServer(['fsync=off'])
    const administration = postgres(first.url, { max: 1, onnotice: () => {} })
    await administration`CREATE ROLE app LOGIN`
    await administration`CREATE DATABASE app OWNER app`
    await administration.end()
    second = await first.startStandby()
    proxy = await startFaultProxy(second.port)
  }, 120_000)

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop()
    await proxy?.stop()
    for (const server of [...others.splice(0), second, first]) await server?.stop()
  }, 120_000)

  const urlOf = (...ports: number[]) => `postgresql://app@${ports.map((port) => `127.0.0.1:${port}`).join(',')}/app`

  async function open(...ports: number[]): Promise<{ url: string; token: string; server: Server }> {
    const server = await serve({ environment: { ...environment, DATABASE_URL: urlOf(...ports) } })
    servers.push(server)
    const { url } = server
    return { url, token: await accessToken(url, 'admin', password), server }
  }

  /** Promotes the second server and ends every session there, unless it is not reached for it. */
  async function promote(): Promise<void> {
    const client = postgres(second.url.replace(/postgres$/, 'app'), { max: 1, onnotice: () => {} })
    await untilCaughtUp(client)
    await client`SELECT pg_promote()`
    await client`DELETE FROM audittrail_sessions`
    await client.end()
  }

  async function untilCaughtUp(client: postgres.Sql): Promise<void> {
    const primary = postgres(first.url, { max: 1 })
    const [row] = await primary`SELECT pg_current_wal_lsn()::text AS position`
    await primary.end()
    for (;;) {
      const [reached] = await client`SELECT pg_last_wal_replay_lsn() >= ${row?.position}::pg_lsn AS yes`
      if (reached?.yes) return
    }
  }

  /** Milliseconds after which the last request was sent that the new primary did not decide. */
  async function timeUntil(isDone: () => Promise<boolean>): Promise<number> {
    const clock = startMachineClock()
    const began = clock.now()
    let last = began
    await until(async () => {
      const sent = clock.now()
      if (await isDone()) return true
      last = sent
      return false
    })
    clock.stop()
    return last - began
  }

  const statusOf = async (url: string, token: string) => (await me(url, token)).status
  const readiness = async (url: string) => (await fetch(`${url}/ready`)).status

  async function expectNoneAccepted(url: string, token: string, milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds
    while (performance.now() < end) expect(await statusOf(url, token)).not.toBe(200)
  }

  test('the service is back within a second of the first commit after a failover', async () => {
    const { url } = await open(first.port, proxy.port)
    await first.halt('immediate')
    expect((await login(url, 'admin', password)).status).toBe(503)
    const client = postgres(second.url, { max: 1, onnotice: () => {} })
    await client`SELECT pg_promote()`
    await client`CREATE TABLE first_commit()`
    const time = await timeUntil(async () => (await login(url, 'admin', password)).status === 200)
    await client.end()
    expect(time).toBeLessThan(limits.recovery)
  }, 120_000)

  test('the service is back within a second although every connection to the old primary hangs', async () => {
    const way = await startFaultProxy(first.port)
    const { url } = await open(way.port, second.port)
    way.be('hang')
    const end = performance.now() + 6_000
    const keepTrying = async () => {
      while (performance.now() < end) expect((await login(url, 'admin', password)).status).toBe(503)
    }
    await Promise.all(Array.from({ length: 8 }, keepTrying))
    const client = postgres(second.url, { max: 1, onnotice: () => {} })
    await client`SELECT pg_promote()`
    await client`CREATE TABLE first_commit()`
    const time = await timeUntil(async () => (await login(url, 'admin', password)).status === 200)
    await client.end()
    expect(time).toBeLessThan(limits.recovery)
    await way.stop()
  }, 120_000)

  test('split brain: the old primary is left within two seconds, although it lives', async () => {
    const { url, token, server } = await open(first.port, proxy.port)
    expect(await statusOf(url, token)).toBe(200)
    await promote()
    expect(await timeUntil(async () => (await statusOf(url, token)) === 401)).toBeLessThan(limits.fence)
    await expectNoneAccepted(url, token, 1500)
    expect(await readiness(url)).toBe(200)
    await until(() => server.output.stdout.includes('database.fenced'))
    const held = postgres(first.url, { max: 1 })
    // A new connection has no query yet.
    await until(
      async () =>
        (await held`SELECT FROM pg_stat_activity WHERE usename = 'app' AND query NOT LIKE '%pg_control%'`).length === 0,
    )
    await held.end()
  }, 120_000)

  test('split brain: a replica that was cut off obeys within two seconds once it is not', async () => {
    const { url, token } = await open(first.port, proxy.port)
    proxy.be('hang')
    proxy.forget()
    await promote()
    await Bun.sleep(3000)
    expect(await statusOf(url, token)).toBe(200)
    expect(await readiness(url)).toBe(200)
    proxy.be('pass')
    expect(await timeUntil(async () => (await statusOf(url, token)) === 401)).toBeLessThan(limits.fence)
    await expectNoneAccepted(url, token, 1000)
  }, 120_000)

  test.each([
    ['which tells its timeline', 'pg_read_all_stats'],
    ['which is ahead of the old one', undefined],
  ])(
    'split brain: a standby of the new primary %s is enough to leave the old one',
    async (_which, role) => {
      if (role !== undefined) await grant(role)
      await using third = await startThird()
      const way = await startFaultProxy(third.port)
      way.be('hang')
      const { url, token } = await open(first.port, proxy.port, way.port)
      proxy.be('hang')
      proxy.forget()
      await promote()
      await writeBoth()
      await third.follow()
      expect(await statusOf(url, token)).toBe(200)
      way.be('pass')
      expect(await timeUntil(async () => (await statusOf(url, token)) === 503)).toBeLessThan(limits.fence)
      expect(await readiness(url)).toBe(503)
      await expectNoneAccepted(url, token, 1500)
      proxy.be('pass')
      expect(await timeUntil(async () => (await readiness(url)) === 200)).toBeLessThan(limits.fence)
      expect(await statusOf(url, token)).toBe(401)
      await way.stop()
    },
    120_000,
  )

  /**
   * The old primary as background work may do, the new one more: to the next segment of its log.
   */
  async function writeBoth(): Promise<void> {
    const old = postgres(first.url, { max: 1 })
    await old`SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))`
    await old.end()
    const promoted = postgres(second.url, { max: 1 })
    await promoted`SELECT pg_switch_wal()`
    await promoted.end()
  }

  async function grant(role: string): Promise<void> {
    const administration = postgres(first.url, { max: 1 })
    await administration`GRANT ${administration(role)} TO app`
    await administration.end()
  }

  /** A standby that does not stream until it follows the second server. */
  async function startThird() {
    const server = await first.startStandby()
    others.push(server)
    const client = postgres(server.url, { max: 1, onnotice: () => {} })
    // It must not receive more from the first server than the second one has.
    await client`ALTER SYSTEM SET primary_conninfo = ''`
    await client`SELECT pg_reload_conf()`
    while ((await client`SELECT FROM pg_stat_wal_receiver`).length > 0) await Bun.sleep(10)
    return {
      port: server.port,
      follow: async () => {
        const { hostname, port } = new URL(second.url)
        await client.unsafe(`ALTER SYSTEM SET primary_conninfo = 'host=${hostname} port=${port} user=postgres'`)
        await client`SELECT pg_reload_conf()`
        for (;;) {
          const [row] = await client`SELECT status, received_tli FROM pg_stat_wal_receiver`
          if (row?.status === 'streaming' && row.received_tli === 2) break
        }
      },
      [Symbol.asyncDispose]: () => client.end({ timeout: 1 }),
    }
  }

  test('a lower timeline is not used again after the higher one is gone', async () => {
    const { url, token } = await open(first.port, proxy.port)
    await promote()
    await timeUntil(async () => (await statusOf(url, token)) === 401)
    await second.halt('immediate')
    await timeUntil(async () => (await statusOf(url, token)) === 503)
    await expectNoneAccepted(url, token, 2000)
    expect(await readiness(url)).toBe(503)
  }, 120_000)

  test('a command uses the higher timeline at once', async () => {
    await open(first.port, second.port)
    await promote()
    const { stdout, code } = await run(['session', 'list', 'admin', '--json'], {
      environment: { ...environment, DATABASE_URL: urlOf(first.port, second.port) },
    })
    expect(code).toBe(0)
    expect(stdout).not.toContain('"id"')
  }, 120_000)
})
