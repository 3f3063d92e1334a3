import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { accessToken, me, run, serve } from '../binary/binary.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { type FaultProxy, startFaultProxy } from './faultProxy.ts'
import { password } from './load.ts'
import { startMachineClock } from './machineClock.ts'
import { startPooler } from './pooler.ts'

/** Milliseconds until a higher timeline is obeyed. */
const fence = 2000
const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

describe.skipIf(!hasProgram('pgbouncer', 'pgbouncer'))('PgBouncer in front of a primary and of its standby', () => {
  let first: PostgresqlServer
  let second: PostgresqlServer
  /** The ways to the two poolers. */
  let oldWay: FaultProxy
  let newWay: FaultProxy
  const closing: (() => unknown)[] = []

  beforeEach(async () => {
    first = await startServer(['fsync=off'])
    closing.push(first.stop)
    const administration = postgres(first.url, { max: 1, onnotice: () => {} })
    await administration`CREATE ROLE app LOGIN`
    await administration`CREATE DATABASE app OWNER app`
    await administration.end()
    second = await first.startStandby()
    closing.push(second.stop)
    oldWay = await startWay(first)
    newWay = await startWay(second)
  }, 120_000)

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  }, 120_000)

  async function startWay({ port }: PostgresqlServer): Promise<FaultProxy> {
    const pooler = await startPooler(port)
    const way = await startFaultProxy(pooler.port)
    closing.push(pooler.stop, way.stop)
    return way
  }

  const urlOf = (parameters: string) =>
    `postgresql://app@127.0.0.1:${oldWay.port},127.0.0.1:${newWay.port}/app${parameters}`

  async function open(parameters: string): Promise<{ url: string; token: string }> {
    const { url, stop } = await serve({ environment: { ...environment, DATABASE_URL: urlOf(parameters) } })
    closing.push(stop)
    return { url, token: await accessToken(url, 'admin', password) }
  }

  /** Promotes the second server and ends every session there. */
  async function promote(): Promise<void> {
    const client = postgres(second.url.replace(/postgres$/, 'app'), { max: 1, onnotice: () => {} })
    while ((await client`SELECT FROM audittrail_sessions`.catch(() => [])).length === 0) await Bun.sleep(10)
    await client`SELECT pg_promote()`
    await client`DELETE FROM audittrail_sessions`
    await client.end()
  }

  /**
   * Keeps presenting the token. Returns the milliseconds after which it was last sent and accepted.
   */
  async function lastAcceptance(url: string, token: string, milliseconds: number): Promise<number> {
    const clock = startMachineClock()
    const began = clock.now()
    let last = 0
    const present = async () => {
      for (let sent = 0; sent < milliseconds; ) {
        sent = clock.now() - began
        if ((await me(url, token)).status === 200) last = Math.max(last, sent)
      }
    }
    await Promise.all([present(), present(), present()])
    clock.stop()
    return last
  }

  const readiness = async (url: string) => (await fetch(`${url}/ready`)).status

  test.each([
    ['declared', '?pgbouncer=true'],
    ['detected', ''],
  ])(
    'split brain: the old primary behind a %s pooler is left within two seconds',
    async (_which, parameters) => {
      const { url, token } = await open(parameters)
      await promote()
      expect(await lastAcceptance(url, token, 4000)).toBeLessThan(fence)
      for (let status = 0; status !== 200; ) status = await readiness(url)
      expect((await me(url, token)).status).toBe(401)
    },
    120_000,
  )

  test('split brain: a replica that was cut off from the new pooler obeys within two seconds', async () => {
    const { url, token } = await open('?pgbouncer=true')
    newWay.be('hang')
    newWay.forget()
    await promote()
    await Bun.sleep(3000)
    expect((await me(url, token)).status).toBe(200)
    newWay.be('pass')
    expect(await lastAcceptance(url, token, 4000)).toBeLessThan(fence)
    for (let status = 0; status !== 200; ) status = await readiness(url)
    expect((await me(url, token)).status).toBe(401)
  }, 120_000)

  test('a command uses the higher timeline at once', async () => {
    await open('')
    await promote()
    for (let repeat = 0; repeat < 3; repeat++) {
      const { stdout, code } = await run(['session', 'list', 'admin', '--json'], {
        environment: { ...environment, DATABASE_URL: urlOf('') },
      })
      expect(code).toBe(0)
      expect(stdout).not.toContain('"id"')
    }
  }, 120_000)
})
