import { afterAll, beforeAll, expect, test } from 'bun:test'
import type postgres from 'postgres'
import { createAuditKeys } from '../../src/domain/audit/auditKeys.ts'
import { readCheckpoint } from '../../src/domain/transparency/checkpoint.ts'
import { accessToken, run, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { openAuditDatabase, recordedChanges, startChanges } from './auditLoad.ts'
import { password } from './load.ts'

const [former, next] = ['a'.repeat(32), 'b'.repeat(32)]
const clients = 20

let environment: Record<string, string>
let sql: postgres.Sql

beforeAll(async () => {
  const opened = await openAuditDatabase()
  sql = opened.sql
  // Its tokens do not depend on SECRET_KEY.
  environment = { ...opened.environment, ALGORITHM: 'EdDSA' }
})

afterAll(() => sql.end())

test('SECRET_KEY is rotated in three steps under load without a lost event, and both keys verify throughout', async () => {
  const begin = (keys: Record<string, string>) => serve({ environment: { ...environment, ...keys } })
  const replicas: Server[] = [await begin({ SECRET_KEY: former }), await begin({ SECRET_KEY: former })]
  const token = await accessToken(replicas[0]?.url ?? '', 'admin', password)
  const load = startChanges(clients, () => replicas[Math.random() < 0.5 ? 0 : 1]?.url ?? '', token)
  const size = async () => Number((await sql`SELECT max(size)::int AS size FROM audittrail_audit_checkpoints`)[0]?.size)
  const grow = async () => {
    const before = await size()
    await until(async () => (await size()) > before + 20)
  }
  /** Replaces one replica after the other, so that one is ahead of the other. */
  const step = async (keys: Record<string, string>) => {
    for (const index of [0, 1]) {
      await grow()
      await replicas[index]?.stop()
      replicas[index] = await begin(keys)
    }
    await grow()
    return size()
  }
  const prepared = await step({ SECRET_KEY: former, SECRET_KEY_PREVIOUS: next })
  const changed = await step({ SECRET_KEY: next, SECRET_KEY_PREVIOUS: former })
  await step({ SECRET_KEY: next })
  await load.stop()
  // A stopping server takes pending events for at most half a second.
  await until(async () => (await sql`SELECT FROM audittrail_audit_pending`).length === 0)
  for (const replica of replicas) expect((await replica.stop()).code).toBe(0)

  expect(await sql`SELECT FROM audittrail_audit_pending`).toHaveLength(0)
  const recorded = new Set(await recordedChanges(sql))
  expect(load.acknowledged.filter(({ type, id }) => !recorded.has(`${type} ${id}`))).toEqual([])
  expect(load.acknowledged.length).toBeGreaterThan(clients)

  const [state] = await sql`SELECT origin FROM audittrail_audit_state`
  const origin = String(state?.origin)
  const signedBy = async (key: string, from: number, to: number) => {
    const signers = createAuditKeys(() => ({ current: key, previous: [] })).signersFor(origin)
    const notes = await sql`SELECT note FROM audittrail_audit_checkpoints WHERE size BETWEEN ${from} AND ${to}`
    expect(notes.length).toBeGreaterThan(0)
    return notes.every(({ note }) => readCheckpoint(note, origin, signers) !== undefined)
  }
  expect(await signedBy(former, 0, changed)).toBe(true)
  expect(await signedBy(next, prepared, await size())).toBe(true)

  const verified = await run(['audit', 'verify'], { environment: { ...environment, SECRET_KEY: next } })
  expect(verified).toMatchObject({ code: 0, stderr: '' })
  expect(verified.stdout).toContain('The audit log is intact')
}, 300_000)
