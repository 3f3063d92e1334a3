import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { type PruningRange, planPruning } from '../../../src/domain/retention/planPruning.ts'
import { createAgedPruning } from '../../../src/domain/retention/prune.ts'
import type { Policy } from '../../../src/domain/witnesses/policy.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'
import { problemsOf } from '../auditProblems.ts'

const hour = 3_600_000
const day = 24 * hour
const table = 'audittrail_audit_events'

describe.each(databaseKinds)('pruning the audit log on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    await record(700)
    application.clock.now += 40 * day
    await record(20)
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const record = async (count: number) => {
    const { deps } = application
    for (let n = 0; n < count; n++)
      await recordAlone(deps, { event: { event: 'password.rehashed', username: 'admin' } })
    await sequencer.run()
  }
  const prune = async (range: PruningRange) => {
    await planPruning(application.deps, 'command line', range)
    await sequencer.run()
    return finishPruning(application.deps)
  }
  const ago = (days: number) => ({ before: new Date(application.clock.now - days * day) })
  const smallest = async () => Number((await sql(`SELECT min(index)::int AS first FROM ${table}`))[0]?.first)

  test('deletes whole tiles of old records, and the rest verifies', async () => {
    expect(await prune(ago(30))).toEqual({ minimumIndex: 512, deleted: 512 })
    expect(await smallest()).toBe(512)
    expect(await problemsOf(application)).toEqual([])
    await record(300)
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ inconsistency: undefined, pending: 0 })
    expect(await problemsOf(application)).toEqual([])
    expect(await prune(ago(30))).toEqual({ minimumIndex: 512, deleted: 0 })
    expect(await prune({ below: 800 })).toMatchObject({ minimumIndex: 768, deleted: 256 })
    expect(await problemsOf(application)).toEqual([])
    const other = createSequencer({ ...application.deps, audit: application.deps.audit }, true)
    await other.run()
    expect(other.state().inconsistency).toBeUndefined()
  })

  test('waits until its record is in the log', async () => {
    expect(await planPruning(application.deps, 'command line', ago(30))).toBe(512)
    expect(await finishPruning(application.deps)).toMatchObject({ deleted: 0 })
    expect(await problemsOf(application)).toEqual([])
    await sequencer.run()
    expect(await finishPruning(application.deps)).toMatchObject({ deleted: 512, minimumIndex: 512 })
    const [pruned] = await application.deps.database.audit.listEvents({ type: 'audit.pruned', limit: 1 })
    expect(JSON.parse(pruned?.leaf ?? '').facts).toMatchObject({ minimum_index: 512, key_changed: false })
  })

  test('waits until the quorum of the witnesses has cosigned its record', async () => {
    const witnesses: Policy = { logs: [], witnesses: [], isQuorum: () => false }
    const deps = { ...application.deps, witnesses }
    expect(await planPruning(deps, 'command line', ago(30))).toBe(512)
    await sequencer.run()
    expect(await finishPruning(deps)).toMatchObject({ deleted: 0 })
    expect(await finishPruning(application.deps)).toMatchObject({ deleted: 512 })
  })

  test('leaves nothing to prune if all records are younger', async () => {
    expect(await prune(ago(50))).toEqual({ minimumIndex: 0, deleted: 0 })
  })

  test.each([
    ['more records than were pruned', `DELETE FROM ${table} WHERE index < 600`, 'records 512 to 599 are missing'],
    ['a node of the pruned records', `DELETE FROM audittrail_audit_nodes WHERE index = 0`, 'is missing'],
    [
      'the minimum index',
      'UPDATE audittrail_audit_state SET minimum_index = 768',
      'the minimum index 768 has no record of a pruning',
    ],
    [
      'the time before which events are refused',
      `UPDATE audittrail_audit_state SET pruned_before = now() + interval '1 year'`,
      'the time before which pending events are refused has no record of a pruning',
    ],
  ])('differs from a change of %s by SQL, which verification names', async (_, change, finding) => {
    await prune(ago(30))
    await sql(change)
    expect((await problemsOf(application)).join('\n')).toContain(finding)
  })

  test('names a changed node of the pruned records', async () => {
    await prune(ago(30))
    await sql(`UPDATE audittrail_audit_nodes SET hash = sha256('x') WHERE level = 1 AND index = 1`)
    expect((await problemsOf(application)).join('\n')).toContain('are not the ones that the checkpoint signs')
  })

  test('differs from a beginning that was cut off', async () => {
    await sql(`DELETE FROM ${table} WHERE index < 256`)
    await sql(`UPDATE audittrail_audit_state SET minimum_index = 256`)
    expect(await problemsOf(application)).toEqual([
      'records 0 to 255 are missing',
      'the minimum index 256 has no record of a pruning',
      expect.stringMatching(/^events 1 to 256 of process \w+ were removed before index 256$/),
    ])
  })

  test('keeps the evidence of a record that was tampered with', async () => {
    await sql(`UPDATE ${table} SET leaf = replace(leaf, 'rehashed', 'changed') WHERE index = 300`)
    expect(await prune(ago(30)).catch((error: unknown) => error)).toMatchObject({
      code: 'refused',
      message: expect.stringContaining('record 300'),
    })
    expect(await smallest()).toBe(0)
  })

  test('keeps an event out that is a copy of a pruned record', async () => {
    const [old] = await sql(`SELECT process, n, leaf FROM ${table} WHERE index = 5`)
    const mac = application.deps.audit.keys.macOf(String(old?.leaf)).toString('hex')
    const insert = () =>
      sql(`INSERT INTO audittrail_audit_pending (process, n, leaf, mac)
           VALUES ('${old?.process}', ${old?.n}, $leaf$${old?.leaf}$leaf$, '\\x${mac}')`)
    await prune(ago(30))
    await insert()
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 1 })
    expect((await problemsOf(application)).join()).toContain('it may be a copy of one')
    // Even if the time is changed in the database.
    await sql('UPDATE audittrail_audit_state SET pruned_before = NULL')
    await sql('UPDATE audittrail_audit_pending SET refused_at = NULL')
    await sequencer.run()
    expect((await problemsOf(application)).join()).toContain('it may be a copy of one')
  })

  test('finds nothing if a command goes on whose first record was pruned', async () => {
    const command = openReplica(application)
    const rehashed = { event: { event: 'password.rehashed', username: 'admin' } } as const
    await recordAlone(command.deps, rehashed)
    await record(300)
    expect(await prune({ below: 1024 })).toMatchObject({ minimumIndex: 768 })
    await recordAlone(command.deps, rehashed)
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
    const idle = openReplica(application)
    await recordAlone(idle.deps, rehashed)
    await record(500)
    await prune({ below: 1300 })
    const listing = async () =>
      (await application.deps.database.audit.listEvents({ type: 'audit.pruned', limit: 100 })).filter(({ leaf }) =>
        leaf.includes(`"${idle.deps.audit.process} `),
      ).length
    expect(await listing()).toBe(1)
    application.clock.now += 8 * day
    await record(300)
    expect(await prune({ below: 1700 })).toMatchObject({ minimumIndex: 1536 })
    expect(await listing()).toBe(0)
    expect(await problemsOf(application)).toEqual([])
  })

  test('finds nothing if records are pruned while it verifies', async () => {
    const { database, audit } = application.deps
    const early = openReplica(application)
    // Its second event is in the log before its first.
    const [first, second] = [1, 2].map(() =>
      early.deps.audit.prepare({ event: { event: 'password.rehashed', username: 'admin' } }, undefined),
    )
    if (!first || !second) throw new Error('There are two.')
    early.deps.audit.settle([first], 'committed')
    const third = early.deps.audit.prepare({ event: { event: 'password.rehashed', username: 'admin' } }, undefined)
    await database.audit.insertEvent(third.row)
    await record(600)
    await database.audit.insertEvent(first.row)
    await database.audit.insertEvent(second.row)
    early.deps.audit.settle([second, third], 'committed')
    await record(500)
    application.clock.now += 8 * day
    await planPruning(application.deps, 'command line', { below: 1536 })
    await sequencer.run()
    const found: string[] = []
    let isPruned = false
    const listEvents: typeof database.audit.listEvents = async (filter) => {
      if (filter.type === undefined && (filter.from ?? 0) > 900 && !isPruned) {
        isPruned = true
        await finishPruning(application.deps)
      }
      return database.audit.listEvents(filter)
    }
    await verifyLog(
      { database: { audit: { ...database.audit, listEvents } }, keys: audit.keys, recordsPerPage: 50 },
      (finding) => found.push(finding.problem),
    )
    expect({ found, isPruned }).toEqual({ found: [], isPruned: true })
  })

  test('is done by age, and finishes what another process has begun', async () => {
    const age = createAgedPruning(application.deps, 30, () => false)
    expect(await age()).toBe(0)
    await sequencer.run()
    expect(await age()).toBe(512)
    expect(await createAgedPruning(application.deps, 0, () => false)()).toBe(0)
    await record(600)
    application.clock.now += 31 * day
    await record(1)
    await age()
    await sequencer.run()
    expect(await age()).toBe(768)
    expect(await problemsOf(application)).toEqual([])
  })
})
