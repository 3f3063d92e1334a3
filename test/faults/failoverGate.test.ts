import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { login, me, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { password } from './load.ts'
import { type MovableAddress, startMovableAddress } from './movableAddress.ts'
import { type Pooler, startPooler } from './pooler.ts'

const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}
/** Milliseconds in which a failover behind a pooler is noticed. */
const grace = 2000
const isPoolerHere = hasProgram('pgbouncer', 'pgbouncer')

describe.each([
  ['at the address of DATABASE_URL', false],
  ['behind PgBouncer', true],
] as const)('a failover %s that undoes a logout', (_where, isPooled) => {
  let primary: PostgresqlServer
  let standby: PostgresqlServer
  let address: MovableAddress
  let pooler: Pooler | undefined
  let own: postgres.Sql
  let server: Server

  beforeAll(async () => {
    if (isPooled && !isPoolerHere) return
    primary = await startServer()
    const bootstrap = postgres(primary.url, { max: 1 })
    await bootstrap`CREATE DATABASE app`
    await bootstrap.end()
    standby = await primary.startStandby()
    address = await startMovableAddress(primary.port)
    if (isPooled) pooler = await startPooler(address.port)
    const url = `postgresql://postgres@127.0.0.1:${pooler?.port ?? address.port}/app`
    server = await serve({ environment: { ...environment, DATABASE_URL: url } })
  })

  afterAll(async () => {
    await server?.stop()
    await own?.end({ timeout: 1 })
    pooler?.stop()
    await address?.stop()
    await standby?.stop()
    await primary?.stop()
  })

  const tokenOf = async (response: Response) => ((await response.json()) as { access_token: string }).access_token
  const statusOf = async (token: string) => (await me(server.url, token)).status

  test.skipIf(isPooled && !isPoolerHere)('returns 503 until the session is ended again, and 401 then', async () => {
    const kept = await tokenOf(await login(server.url, 'admin', password))
    const ended = await tokenOf(await login(server.url, 'admin', password))
    own = postgres(standby.url.replace(/postgres$/, 'app'), { max: 1, onnotice: () => {} })
    const client = postgres(primary.url, { max: 1, onnotice: () => {} })
    while ((await client`SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()`).length === 0)
      await Bun.sleep(10)
    await client.end()
    await own.unsafe("ALTER SYSTEM SET primary_conninfo = ''")
    await own`SELECT pg_reload_conf()`
    while ((await own`SELECT FROM pg_stat_wal_receiver`).length > 0) await Bun.sleep(10)
    const headers = { authorization: `Bearer ${ended}` }
    expect((await fetch(`${server.url}/auth/logout`, { method: 'POST', headers })).status).toBe(204)
    expect(await statusOf(ended)).toBe(401)

    await primary.halt('immediate')
    await own`SELECT pg_promote()`
    // Nothing can be ended again while the lock is held, and reads could go on.
    await own.begin(async (transaction) => {
      await transaction`LOCK TABLE audittrail_sessions IN SHARE MODE`
      address.moveTo(standby.port)
      const noticedBy = performance.now() + (isPooled ? grace : 0)
      while (performance.now() < noticedBy) await Bun.sleep(50)
      const statuses = await Promise.all([statusOf(ended), statusOf(kept), statusOf(ended)])
      expect(statuses).toEqual([503, 503, 503])
    })
    while ((await statusOf(kept)) === 503) await Bun.sleep(20)
    expect(await statusOf(ended)).toBe(401)
    expect(await statusOf(kept)).toBe(200)
    await until(() => server.output.stdout.includes('"event":"database.changes_lost"'))
  })
})
