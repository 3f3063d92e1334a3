import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { ensureSigningKey } from '../../../src/domain/keys/signingKeys.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { planPruning } from '../../../src/domain/retention/planPruning.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'
import { newestPart, verifyOnce } from './incremental.ts'

const table = 'audittrail_audit_events'
const pending = 'audittrail_audit_pending'

describe.each(databaseKinds)('verification of new records on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    await record(300)
    await verifyOnce(application.deps, 'whole')
    await sequencer.run()
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const record = async (count: number, { deps } = application as Pick<TestApplication, 'deps'>) => {
    for (let n = 0; n < count; n++)
      await recordAlone(deps, { event: { event: 'password.rehashed', username: 'admin' } })
    await sequencer.run()
  }
  const verifyNew = async () => {
    const { scope, found } = await verifyOnce(application.deps, 'new')
    expect(scope).toBe('new')
    return found
  }

  test('reads no record before the verified ones', async () => {
    await record(20)
    const { audit } = application.deps.database
    const from: number[] = []
    const listEvents: typeof audit.listEvents = (filter) => {
      // The others are of a few types, or find where the log begins.
      if (filter.type === undefined && filter.types === undefined && filter.limit > 1) from.push(filter.from ?? -1)
      return audit.listEvents(filter)
    }
    const deps = { ...application.deps, database: { ...application.deps.database, audit: { ...audit, listEvents } } }
    expect(await verifyOnce(deps, 'new')).toEqual({ scope: 'new', found: [] })
    const part = await newestPart(application.deps.database, application.deps.audit.keys)
    expect(Math.min(...from)).toBe(part?.size ?? 0)
    expect(part?.size).toBeGreaterThan(300)
  })

  test.each([
    ['an edited record', `UPDATE ${table} SET leaf = replace(leaf, 'rehashed', 'changed') WHERE index = 310`, '310'],
    ['a deleted record', `DELETE FROM ${table} WHERE index = 310`, 'record 310 is missing'],
    ['a changed column', `UPDATE ${table} SET type = 'x' WHERE index = 310`, 'has another type'],
    ['a record beyond the head', `UPDATE ${table} SET index = 9000 WHERE index = 315`, 'record 9000'],
    [
      'a changed checkpoint',
      `UPDATE audittrail_audit_checkpoints SET root = sha256('x') WHERE size > 310`,
      'not signed',
    ],
    ['a changed node', `UPDATE audittrail_audit_nodes SET hash = sha256('x') WHERE index = 1`, 'node 1 of level 1'],
  ])('finds %s', async (_, change, finding) => {
    await record(250)
    await sql(change)
    expect((await verifyNew()).join('\n')).toContain(finding)
  })

  test('finds an event that was pending at the last one and was deleted since', async () => {
    await record(1)
    // A row that is refused waits for a minute.
    await recordAlone(application.deps, { event: { event: 'password.rehashed', username: 'admin' } })
    await sql(`UPDATE ${pending} SET refused_at = now()`)
    await record(2)
    expect(await verifyNew()).toEqual([])
    await sequencer.run()
    await sql(`DELETE FROM ${pending} WHERE refused_at IS NOT NULL`)
    expect((await verifyNew()).join()).toMatch(/^event \d+ of process \w+ was removed between the indexes \d+ and \d+$/)
  })

  test('finds an event of a process that began before it, and was deleted since', async () => {
    await record(3)
    await recordAlone(application.deps, { event: { event: 'password.rehashed', username: 'admin' } })
    await sql(`DELETE FROM ${pending}`)
    await record(3)
    expect((await verifyNew()).join()).toMatch(/^event \d+ of process \w+ was removed between the indexes \d+ and \d+$/)
  })

  test('finds a pending copy of a verified record', async () => {
    const mac = async () => {
      const [row] = await sql(`SELECT process, n, leaf FROM ${table} WHERE index = 100`)
      return { ...row, mac: application.deps.audit.keys.macOf(String(row?.leaf)).toString('hex') } as Record<
        string,
        unknown
      >
    }
    const row = await mac()
    await sql(`INSERT INTO ${pending} (process, n, leaf, mac) VALUES
      ('${row.process}', ${row.n}, $leaf$${row.leaf}$leaf$, '\\x${row.mac}')`)
    expect(await verifyNew()).toEqual([expect.stringMatching(/^the pending event \d+ is a copy of record 100$/)])
  })

  test('finds nothing if events of one process are on both sides in any order', async () => {
    const { audit } = application.deps
    const events = Array.from({ length: 40 }, () =>
      audit.prepare({ event: { event: 'password.rehashed', username: 'admin' } }, undefined),
    )
    const insert = async (which: readonly number[]) => {
      for (const at of which) {
        const event = events[at]
        if (!event) continue
        await application.deps.database.audit.insertEvent(event.row)
        audit.settle([event], 'committed')
      }
      await sequencer.run()
    }
    await insert([1, 3, 20, 7])
    audit.settle(events.slice(30, 32), 'lost')
    await record(1)
    expect(await verifyNew()).toEqual([])
    await sequencer.run()
    audit.settle(events.slice(32, 34), 'unsure')
    await insert([0, 2, 4, 5, 6, 8, 9, 39])
    expect(await verifyNew()).toEqual([])
    await sequencer.run()
    await insert([...Array(30).keys()].filter((at) => at > 9 && at !== 20))
    await insert([34, 35, 36, 37, 38])
    await record(3)
    expect(await verifyNew()).toEqual([])
    expect((await verifyOnce(application.deps, 'whole')).found).toEqual([])
  })

  test('covers the whole log if the verified part was changed, pruned or rolled back', async () => {
    const begins = async () => (await newestPart(application.deps.database, application.deps.audit.keys)) !== undefined
    expect(await begins()).toBe(true)
    await sql(`CREATE TABLE kept AS SELECT * FROM ${table}`)
    await sql(`UPDATE ${table} SET hash = sha256('x') WHERE index = 299`)
    expect(await begins()).toBe(false)
    await sql(`UPDATE ${table} SET hash = kept.hash FROM kept WHERE kept.index = ${table}.index`)
    expect(await begins()).toBe(true)
    await record(600)
    await planPruning(application.deps, 'test', { below: 512 })
    await sequencer.run()
    expect(await begins()).toBe(true)
    await finishPruning(application.deps)
    expect(await begins()).toBe(false)
    expect(await verifyOnce(application.deps, 'new')).toEqual({ scope: 'whole', found: [] })
  })

  test('covers the whole log after a verification that was tampered with, or has findings', async () => {
    const begins = async () => (await newestPart(application.deps.database, application.deps.audit.keys)) !== undefined
    await sql(`UPDATE ${table} SET type = 'x' WHERE index = 5`)
    expect(await verifyOnce(application.deps, 'whole')).toMatchObject({ scope: 'whole', found: [expect.anything()] })
    await sequencer.run()
    expect(await begins()).toBe(false)
    await sql(`UPDATE ${table} SET type = 'password.rehashed' WHERE index = 5`)
    await sql(`UPDATE ${table} SET seal = sha256('x') WHERE type = 'audit.verified'`)
    expect(await begins()).toBe(false)
  })

  test('finds nothing after a restore that was accepted, and after SECRET_KEY was changed', async () => {
    await record(10)
    const { size } = sequencer.state()
    await record(10)
    expect(await verifyNew()).toEqual([])
    await sequencer.run()
    await sql(`DELETE FROM ${table} WHERE index >= ${size}`)
    await sql(`DELETE FROM audittrail_audit_checkpoints WHERE size > ${size}`)
    await acceptRestored(application.deps)
    await sequencer.run()
    await record(20)
    expect(await verifyNew()).toEqual([])
    await sequencer.run()
    const next = 'n'.repeat(64)
    const ahead = openReplica(application, { secretKeys: { current: next, previous: [application.secretKey] } })
    await ensureSigningKey(ahead.deps)
    await createSequencer(ahead.deps, true).run()
    await ahead.accessToken()
    await createSequencer(ahead.deps, true).run()
    expect(await verifyOnce(ahead.deps, 'new')).toEqual({ scope: 'new', found: [] })
    await createSequencer(ahead.deps, true).run()
    const last = openReplica(application, { secretKeys: { current: next, previous: [] } })
    await last.accessToken()
    expect(await verifyOnce(last.deps, 'new')).toEqual({ scope: 'new', found: [] })
  })
})
