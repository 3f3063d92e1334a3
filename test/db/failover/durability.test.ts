import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { startDurabilityReport } from '../../../src/app/durabilityReport.ts'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { readDurability } from '../../../src/db/failover/durability.ts'
import { openPool, type Pool } from '../../../src/db/pool/pool.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { type PostgresqlServer, startServer } from '../../postgresqlServer.ts'

describe('the durability of acknowledged changes', () => {
  let primary: PostgresqlServer
  let standby: PostgresqlServer
  let own: postgres.Sql
  let pool: Pool

  beforeAll(async () => {
    primary = await startServer(['fsync=on'])
    standby = await primary.startStandby()
    own = postgres(primary.url, { max: 1, onnotice: () => {} })
    await own`CREATE ROLE app LOGIN`
    const address = parseDatabaseUrl(`postgresql://app@127.0.0.1:${primary.port}/postgres`)
    pool = openPool({ kind: 'server', address, poolSize: 2 })
    while ((await own`SELECT FROM pg_stat_replication WHERE state = 'streaming'`).length === 0) await Bun.sleep(10)
  })

  afterAll(async () => {
    await pool?.close()
    await own?.end()
    await standby?.stop()
    await primary?.stop()
  })

  const read = () => pool.read(readDurability)

  /** Returns the first line of a report. */
  async function report(): Promise<Record<string, unknown>> {
    const line = Promise.withResolvers<Record<string, unknown>>()
    const write = (text: string) => line.resolve(JSON.parse(text))
    const log = createLog({ level: 'info', format: 'json', now: Date.now, write })
    const { stop } = startDurabilityReport({ readDurability: read }, log)
    const first = await line.promise
    stop()
    return first
  }

  async function configure(setting: string, value: string): Promise<void> {
    await own.unsafe(`ALTER SYSTEM SET ${setting} = '${value}'`)
    await own`SELECT pg_reload_conf()`
    while ((await own`SELECT current_setting(${setting}) AS value`)[0]?.value !== value) await Bun.sleep(10)
    await Bun.sleep(100)
  }

  test('is unknown as far as the role must not see the standbys, and names the grant', async () => {
    expect(await read()).toMatchObject({ isSynchronous: false, standbys: 1, standbysInStep: undefined })
    expect(await report()).toMatchObject({
      event: 'database.durability',
      level: 'info',
      synchronous: false,
      in_step: 'unknown',
      detail: expect.stringContaining('GRANT pg_monitor TO'),
    })
  })

  test('is asynchronous unless commits wait for a standby', async () => {
    await own`GRANT pg_monitor TO app`
    expect(await read()).toMatchObject({ isSynchronous: false, standbys: 1, standbysInStep: 0, isFlushed: true })
    expect(await report()).toMatchObject({ synchronous: false, detail: expect.stringContaining('may lose') })
  })

  test('is synchronous with a standby in step', async () => {
    await configure('synchronous_standby_names', '*')
    while ((await read()).standbysInStep !== 1) await Bun.sleep(10)
    expect(await report()).toMatchObject({ level: 'info', synchronous: true, standbys: 1, in_step: 1 })
  })

  test('is not synchronous where synchronous_commit does not wait', async () => {
    await configure('synchronous_commit', 'local')
    expect(await read()).toMatchObject({ isSynchronous: false, isFlushed: true })
    await configure('synchronous_commit', 'off')
    expect(await report()).toMatchObject({ level: 'warn', synchronous: false, detail: expect.stringContaining('off') })
    await configure('synchronous_commit', 'on')
  })

  test('is a warning while the required standby is gone', async () => {
    await configure('synchronous_standby_names', 'another')
    while ((await read()).standbysInStep !== 0) await Bun.sleep(10)
    expect(await report()).toMatchObject({ level: 'warn', synchronous: true, in_step: 0 })
    await configure('synchronous_standby_names', '')
  })
})
