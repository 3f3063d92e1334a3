import { afterAll, beforeAll, expect, test } from 'bun:test'
import type postgres from 'postgres'
import { accessToken, run, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { openAuditDatabase, recordedChanges, startChanges, witnessChanges, witnessedChanges } from './auditLoad.ts'
import { password } from './load.ts'

/** `bun run test:audit` kills fifty times. */
const kills = Number(process.env.AUDIT_KILLS ?? 4)
const clients = 200

let environment: Record<string, string>
let sql: postgres.Sql

beforeAll(async () => {
  const opened = await openAuditDatabase()
  sql = opened.sql
  environment = { ...opened.environment, SECRET_KEY: 'k'.repeat(32) }
})

afterAll(() => sql.end())

test('200 parallel changes over two replicas killed at random moments leave one event each, and a log that verifies', async () => {
  const replicas: Server[] = [await serve({ environment }), await serve({ environment })]
  const token = await accessToken(replicas[0]?.url ?? '', 'admin', password)
  await witnessChanges(sql)
  const load = startChanges(clients, () => replicas[Math.random() < 0.5 ? 0 : 1]?.url ?? '', token)
  for (let kill = 0; kill < kills; kill++) {
    await Bun.sleep(200 + Math.random() * 600)
    await replicas[kill % 2]?.stop('SIGKILL')
    replicas[kill % 2] = await serve({ environment })
  }
  await load.stop()
  // A stopping server takes pending events for at most half a second.
  await until(async () => (await sql`SELECT FROM audittrail_audit_pending`).length === 0)
  for (const replica of replicas) expect((await replica.stop()).code).toBe(0)
  expect(await sql`SELECT FROM audittrail_audit_pending`).toHaveLength(0)

  const witnessed = await witnessedChanges(sql)
  const recorded = await recordedChanges(sql)
  const first = (await sql`SELECT FROM audittrail_audit_events WHERE type = 'login.succeeded'`).length
  expect(first).toBeGreaterThan(0)
  // The sign-in above was before the witness.
  expect(recorded.length).toBe(witnessed.length + 1)
  const known = new Set(recorded)
  expect(witnessed.filter((change) => !known.has(change))).toEqual([])
  expect(load.acknowledged.filter(({ type, id }) => !known.has(`${type} ${id}`))).toEqual([])
  expect(load.acknowledged.length).toBeGreaterThan(kills * 10)

  const [log] =
    await sql`SELECT count(*)::int AS count, max(index)::int AS last, min(index)::int AS first FROM audittrail_audit_events`
  expect({ ...log }).toEqual({ count: Number(log?.last) + 1, last: log?.last, first: 0 })
  const verified = await run(['audit', 'verify'], { environment })
  expect(verified).toMatchObject({ code: 0, stderr: '' })
  expect(verified.stdout).toContain('The audit log is intact')
  console.log(`${kills} kills, ${witnessed.length} changes: ${verified.stdout}`)
}, 600_000)
