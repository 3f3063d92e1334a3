import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { accessToken, run, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { recordedChanges, startChanges, witnessChanges, witnessedChanges } from './auditLoad.ts'
import { startFaultProxy } from './faultProxy.ts'
import { password } from './load.ts'
import { startPooler } from './pooler.ts'

const settings = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

let server: PostgresqlServer

beforeAll(async () => {
  server = await startServer(['fsync=off'])
})
afterAll(() => server.stop())

async function createDatabase(name: string): Promise<postgres.Sql> {
  const administration = postgres(server.url, { max: 1, onnotice: () => {} })
  await administration.unsafe(`CREATE DATABASE ${name}`)
  await administration.end()
  return postgres(`postgresql://postgres@127.0.0.1:${server.port}/${name}`, { max: 1, onnotice: () => {} })
}

/** Makes changes on a replica for a time, and compares them with their events. */
async function expectOneEventEach(
  sql: postgres.Sql,
  databaseUrl: string,
  { poolSize = 4, disturb = () => Bun.sleep(2000) as Promise<void> } = {},
): Promise<string> {
  const environment = { ...settings, DATABASE_URL: databaseUrl, DATABASE_POOL_SIZE: String(poolSize) }
  const replica = await serve({ environment })
  const token = await accessToken(replica.url, 'admin', password)
  await witnessChanges(sql)
  const load = startChanges(30, () => replica.url, token)
  await disturb()
  await load.stop()
  // A stopping server takes pending events for at most half a second.
  await until(async () => (await sql`SELECT FROM audittrail_audit_pending`).length === 0)
  expect((await replica.stop()).code).toBe(0)
  const verified = await run(['audit', 'verify'], { environment })
  expect(verified).toMatchObject({ code: 0, stderr: '' })
  const recorded = await recordedChanges(sql)
  const witnessed = await witnessedChanges(sql)
  expect(witnessed.length).toBeGreaterThan(50)
  // The sign-in above was before the witness.
  expect(recorded.length).toBe(witnessed.length + 1)
  const known = new Set(recorded)
  expect(witnessed.filter((change) => !known.has(change))).toEqual([])
  expect(load.acknowledged.filter(({ type, id }) => !known.has(`${type} ${id}`))).toEqual([])
  await sql.end()
  return verified.stdout
}

describe('the audit log', () => {
  test('has one event for each change while connections are lost during COMMIT', async () => {
    const sql = await createDatabase('cut')
    const proxy = await startFaultProxy(server.port)
    const disturb = async () => {
      for (let round = 0; round < 12; round++) {
        await Bun.sleep(100 + Math.random() * 300)
        proxy.be('cut')
        await Bun.sleep(Math.random() * 50)
        proxy.be('pass')
      }
      await Bun.sleep(1000)
    }
    const report = await expectOneEventEach(sql, `postgresql://postgres@127.0.0.1:${proxy.port}/cut`, { disturb })
    expect(report).toContain('in flight when their connection was lost')
    await proxy.stop()
  }, 60_000)

  test('has one event for each change on a single connection', async () => {
    const sql = await createDatabase('single')
    await expectOneEventEach(sql, `postgresql://postgres@127.0.0.1:${server.port}/single`, { poolSize: 1 })
  }, 60_000)

  test.skipIf(!hasProgram('pgbouncer', 'pgbouncer'))(
    'has one event for each change through PgBouncer in transaction mode',
    async () => {
      const sql = await createDatabase('pooled')
      const pooler = await startPooler(server.port)
      await expectOneEventEach(sql, `postgresql://postgres@127.0.0.1:${pooler.port}/pooled?pgbouncer=true`)
      pooler.stop()
    },
    60_000,
  )
})
