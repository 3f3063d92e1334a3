import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { rejectPending } from '../../../src/domain/audit/rejected.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { mostPerSecond, overallRate } from '../../../src/domain/refusalBudget.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'

const minute = 60_000
const hour = 60 * minute

describe('audit log upkeep', () => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await application.accessToken()
    await sequencer.run()
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const types = async () =>
    (await application.deps.database.audit.listEvents({ from: 0, limit: 1000 })).map(({ type }) => type)
  const linesOf = (event: string) => application.lines.filter((line) => line.event === event)
  const problems = async () => {
    const found: string[] = []
    const { database, audit } = application.deps
    await verifyLog({ database, keys: audit.keys }, ({ problem }) => found.push(problem))
    return found
  }

  test('records one server.alive after an idle hour, which settles the last event', async () => {
    const before = await types()
    application.clock.now += hour - 1
    await sequencer.run()
    expect(await types()).toEqual(before)
    application.clock.now += 1
    await sequencer.run()
    application.clock.now += 5 * hour
    await sequencer.run()
    expect(await types()).toEqual([...before, 'server.alive'])
    await sql(`DELETE FROM audittrail_audit_events WHERE type = 'login.succeeded'`)
    expect((await problems()).join()).toMatch(/event \d+ of process \w+ was removed/)
    expect(linesOf('server.alive')).toHaveLength(1)
  })

  test('records no server.alive in a process that has recorded nothing', async () => {
    const { audit } = application.deps
    const other = createSequencer({ ...application.deps, audit: { ...audit, isTailIdle: () => false } }, true)
    const before = await types()
    application.clock.now += 5 * hour
    await other.run()
    expect(await types()).toEqual(before)
  })

  test('logs a committed event that has disappeared with its leaf, and records its hash', async () => {
    await application.login('admin', 'wrong password')
    const [row] = await sql('DELETE FROM audittrail_audit_pending RETURNING leaf')
    application.clock.now += 29_000
    await sequencer.run()
    expect(linesOf('audit.missing')).toEqual([])
    application.clock.now += 1000
    await sequencer.run()
    await sequencer.run()
    const [line] = linesOf('audit.missing')
    expect(line).toMatchObject({ level: 'error', leaf: row?.leaf })
    expect(sequencer.state().missing).toBe(1)
    const records = await application.deps.database.audit.listEvents({ type: 'audit.missing', limit: 10 })
    expect(records.map(({ leaf }) => JSON.parse(leaf).facts)).toEqual([{ n: line?.n, hash: line?.hash }])
  })

  test('has a refusal that concerns a user, however many refusals of strangers there are', async () => {
    for (let refusal = 0; refusal < mostPerSecond + 5; refusal++) await application.login('stranger', 'wrong')
    await application.login('admin', 'wrong password')
    await sequencer.run()
    const records = await application.deps.database.audit.listEvents({ type: 'login.failed', limit: 100 })
    expect(records.filter(({ about_id }) => about_id !== null)).toHaveLength(1)
  })

  test('has few records of a day of refused API keys, and counts the others by their network', async () => {
    const headers = { authorization: 'Bearer atk_malformed' }
    const refuse = (address: string) => application.call('/users', { headers, address })
    const minutes = 30
    for (let i = 0; i < minutes; i++) {
      for (let j = 0; j < 40; j++) await refuse(j < 10 ? '192.0.2.7' : `198.51.${i}.${j}`)
      await sequencer.run()
      application.clock.now += minute
    }
    await sequencer.run()
    const records = await application.deps.database.audit.listEvents({ limit: 10_000 })
    const refused = records.filter(({ type }) => type === 'api_key.refused').length
    expect(refused).toBeGreaterThan(0)
    expect(refused).toBeLessThanOrEqual(overallRate.burst + minutes * overallRate.perMinute)
    const counts = records.filter(({ type }) => type === 'audit.suppressed')
    const counted = counts.reduce((sum, { leaf }) => sum + JSON.parse(leaf).facts.count, 0)
    expect(refused + counted).toBe(40 * minutes)
    expect(counts.some(({ by_private }) => by_private?.includes('"address":"192.0.2.7"'))).toBe(true)
    expect(counts.some(({ leaf }) => leaf.includes('192.0.2.7'))).toBe(false)
    expect(await problems()).toEqual([])
  })

  test('names the user whose refusals were only counted', async () => {
    const { audit } = application.deps
    const [admin] = await sql(`SELECT id::text AS id FROM users WHERE username = 'admin'`)
    const about = { kind: 'user', id: String(admin?.id), username: 'admin' } as const
    for (let i = 0; i < mostPerSecond + 3; i++) audit.admit({ event: { event: 'login.failed' }, about }, undefined)
    await sequencer.run()
    const records = await application.deps.database.audit.listEvents({ type: 'audit.suppressed', limit: 10 })
    expect(records.map(({ about_id, leaf }) => [about_id, JSON.parse(leaf).facts])).toEqual([
      [admin?.id, { type: 'login.failed', count: 3 }],
    ])
  })

  test('counts suppressed refusals again if their count cannot be recorded', async () => {
    const { audit } = application.deps
    for (let refusal = 0; refusal < mostPerSecond + 5; refusal++)
      audit.admit({ event: { event: 'login.failed' } }, undefined)
    await sql('ALTER TABLE audittrail_audit_pending RENAME TO away')
    await expect(sequencer.run()).rejects.toThrow()
    await sql('ALTER TABLE away RENAME TO audittrail_audit_pending')
    application.clock.now += 1000
    await sequencer.run()
    await sequencer.run()
    const records = await application.deps.database.audit.listEvents({ type: 'audit.suppressed', limit: 10 })
    expect(records.map(({ leaf }) => JSON.parse(leaf).facts)).toEqual([{ type: 'login.failed', count: 5 }])
    expect(sequencer.state().suppressed).toBe(5)
  })

  test('knows the oldest pending event although it cannot be sequenced', async () => {
    expect(sequencer.state()).toMatchObject({ pending: 0, oldestPendingAt: undefined })
    await sql('ALTER TABLE audittrail_audit_events RENAME TO away')
    const at = application.clock.now
    await application.login('admin', 'wrong password')
    application.clock.now += minute
    await application.login('admin', 'wrong password')
    await expect(sequencer.run()).rejects.toThrow()
    expect(sequencer.state()).toMatchObject({ pending: 2, oldestPendingAt: at })
    await sql('ALTER TABLE away RENAME TO audittrail_audit_events')
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, oldestPendingAt: undefined })
  })

  test('logs refused rows once a minute until they are rejected', async () => {
    await sql(`INSERT INTO audittrail_audit_pending (process, n, leaf, mac) VALUES ('x', 1, 'forged', '\\x00')`)
    await sequencer.run()
    await sequencer.run()
    expect(linesOf('audit.refused')).toHaveLength(1)
    application.clock.now += minute
    await sequencer.run()
    expect(linesOf('audit.refused')).toHaveLength(2)
    const [row] = await sql('SELECT id::text AS id FROM audittrail_audit_pending')
    const id = String(row?.id)
    expect(await problems()).toEqual([`the pending event ${id} was not written by this service`])
    await rejectPending(application.deps, 'command line', id)
    await sequencer.run()
    expect(await problems()).toEqual([])
    expect(sequencer.state().refused).toBe(0)
    const [record] = await application.deps.database.audit.listEvents({ type: 'audit.rejected', limit: 10 })
    const hash = new Bun.CryptoHasher('sha256').update('\0forged').digest('base64')
    expect(JSON.parse(record?.leaf ?? '').facts).toEqual({ pending: id, hash })
    expect(linesOf('audit.rejected')).toMatchObject([{ by: 'command line', pending: id, hash }])
  })

  test('rejects neither a row that is not refused nor an event of its own', async () => {
    await application.login('admin', 'wrong password')
    const [row] = await sql('SELECT id::text AS id FROM audittrail_audit_pending')
    const id = String(row?.id)
    await expect(rejectPending(application.deps, 'command line', id)).rejects.toMatchObject({ code: 'not_found' })
    await sql('UPDATE audittrail_audit_pending SET refused_at = now()')
    await expect(rejectPending(application.deps, 'command line', id)).rejects.toMatchObject({ code: 'conflict' })
    await sql(`UPDATE audittrail_audit_pending SET refused_at = now() - interval '2 minutes'`)
    await sequencer.run()
    expect((await types()).at(-1)).toBe('login.failed')
    expect(await problems()).toEqual([])
  })
})
