import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { login, me, type Server, serve } from '../binary/binary.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { password } from './load.ts'
import { startMachineClock } from './machineClock.ts'
import { type MovableAddress, startMovableAddress } from './movableAddress.ts'

const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}
/** Two more than the default of DATABASE_POOL_SIZE. */
const mostConnections = 6
/** Milliseconds. An operation fails after 4,000. */
const limits = { frozen: 10_000, recovery: 5000 }

describe('a primary that freezes', () => {
  let primary: PostgresqlServer
  let standby: PostgresqlServer
  let address: MovableAddress
  let own: postgres.Sql
  let server: Server
  let token: string

  beforeAll(async () => {
    primary = await startServer()
    own = postgres(primary.url, { max: 1, onnotice: () => {} })
    await own`CREATE DATABASE app`
    standby = await primary.startStandby()
    address = await startMovableAddress(primary.port)
    const url = `postgresql://postgres@127.0.0.1:${address.port}/app?sslmode=disable`
    server = await serve({ environment: { ...environment, DATABASE_URL: url } })
    token = ((await (await login(server.url, 'admin', password)).json()) as { access_token: string }).access_token
    while ((await own`SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()`).length === 0)
      await Bun.sleep(10)
  })

  afterAll(async () => {
    await server?.stop()
    await own?.end({ timeout: 1 })
    await address?.stop()
    await standby?.stop()
    await primary?.stop()
  })

  const everyProcess = () => [primary.processId(), ...primary.backends()]
  const signal = (processes: readonly number[], name: NodeJS.Signals) => {
    for (const id of processes) process.kill(id, name)
  }

  /** Sends requests for that long. */
  async function load(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds
    const repeat = async (request: () => Promise<unknown>) => {
      while (performance.now() < until) {
        await request()
        await Bun.sleep(50)
      }
    }
    await Promise.all([
      ...Array.from({ length: 8 }, () => repeat(() => login(server.url, 'admin', password))),
      repeat(() => me(server.url, token)),
    ])
  }

  /** Milliseconds after which the last request was sent that failed. */
  async function recovery(): Promise<number> {
    const clock = startMachineClock()
    const began = clock.now()
    let sent = began
    let last = began
    for (; (await me(server.url, token)).status !== 200; sent = clock.now()) {
      last = sent
      await Bun.sleep(20)
    }
    clock.stop()
    return last - began
  }

  test('has a bounded number of our connections when it goes on', async () => {
    const frozen = everyProcess()
    signal(frozen, 'SIGSTOP')
    await load(limits.frozen)
    signal(frozen, 'SIGCONT')
    let most = 0
    for (const until = performance.now() + 2000; performance.now() < until; await Bun.sleep(5)) {
      const [row] = await own`SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'`
      most = Math.max(most, Number(row?.count))
    }
    expect(most).toBeLessThanOrEqual(mostConnections)
    expect(await recovery()).toBeLessThan(limits.recovery)
  })

  test('does not keep us from a new primary at its address, although its connections stay open', async () => {
    const frozen = everyProcess()
    signal(frozen, 'SIGSTOP')
    await load(limits.frozen)
    const promoted = postgres(standby.url, { max: 1, onnotice: () => {} })
    await promoted`SELECT pg_promote()`
    await promoted.end()
    address.moveNewTo(standby.port)
    expect(await recovery()).toBeLessThan(limits.recovery)
    signal(frozen, 'SIGCONT')
  })
})
