import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { publishedHead } from '../../../src/domain/publishedLog/published.ts'
import { databaseKinds, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'
import { createTestWitness } from './testWitness.ts'
import { failureOf, minute, openWitnessedLog, type WitnessedLog } from './witnessedLog.ts'
import { conflict, serveWitness, type WitnessServer } from './witnessServer.ts'

describe.each(databaseKinds)('witnesses, on %s', (kind) => {
  let log: WitnessedLog
  let application: TestApplication
  let one: WitnessServer
  let two: WitnessServer
  beforeEach(async () => {
    log = await openWitnessedLog(kind)
    ;({ application, one, two } = log)
  })
  afterEach(() => log.close())

  test('cosign the newest checkpoint, which is published then', async () => {
    const witnessing = log.open()
    expect(await log.published()).toBe('not_found')
    await witnessing.run()
    expect(await log.published()).toBe(log.size())
    expect([one.seen.size, two.seen.size]).toEqual([log.size(), log.size()])
    const { note } = await publishedHead({ ...application.deps, witnesses: log.policyOf('both') })
    expect(note.match(/^— /gm)).toHaveLength(3)
    expect(witnessing.state()).toMatchObject({ published: log.size(), unpublishedSince: undefined })
  })

  test('get the proof that the log extends what they have seen', async () => {
    const witnessing = log.open()
    await witnessing.run()
    const before = log.size()
    await log.record(3)
    await witnessing.run()
    expect(one.seen.size).toBe(before + 3)
    expect(one.requests.at(-1)).toStartWith(`old ${before}\n`)
    expect(one.requests).toHaveLength(2)
    expect(await log.published()).toBe(before + 3)
  })

  test('hold back what too few of them have cosigned', async () => {
    const witnessing = log.open(log.policyOf('both'))
    await witnessing.run()
    const before = log.size()
    two.respond = () => new Response('', { status: 500 })
    await log.record(2)
    await witnessing.run()
    expect(await log.published(log.policyOf('both'))).toBe(before)
    expect(await log.published(log.policyOf('w1'))).toBe(log.size())
    expect(witnessing.state()).toMatchObject({ published: before, unpublishedSince: expect.any(Number) })
    two.respond = () => undefined
    application.clock.now += minute
    await application.sql(`UPDATE audittrail_audit_witnesses SET claimed_until = '-infinity'`)
    await witnessing.run()
    expect(await log.published(log.policyOf('both'))).toBe(log.size())
    expect(failureOf(witnessing, 'w2')).toBeUndefined()
  })

  test('are asked again once a day, for a fresh time', async () => {
    const witnessing = log.open()
    await witnessing.run()
    await witnessing.run()
    application.clock.now += 23 * 60 * minute
    await witnessing.run()
    expect(one.requests).toHaveLength(1)
    application.clock.now += 2 * 60 * minute
    one.now += 90_000
    await witnessing.run()
    expect(one.requests).toHaveLength(2)
    expect(one.requests[1]).toStartWith(`old ${log.size()}\n\n`)
    const [row] = await application.sql('SELECT note FROM audittrail_audit_checkpoints ORDER BY size DESC LIMIT 1')
    expect(String(row?.note).match(/^— witness/gm)).toHaveLength(2)
  })

  test('with several keys at one URL get one request', async () => {
    const both = serveWitness(5, [6])
    const twin = { ...both, vkey: createTestWitness('witness.example/w6', 6).vkey }
    await log.open(log.policyOf('both', [both, twin])).run()
    expect(both.requests).toHaveLength(1)
    expect(await log.published(log.policyOf('both', [both, twin]))).toBe(log.size())
    await both.stop()
  })

  test('get each checkpoint from one replica, and the same one from all', async () => {
    const { deps } = openReplica(application, { secretKeys: application.deps.settings.keys.secretKeys() })
    const head = createSequencer(deps, true)
    const target = log.size()
    // In the minute that has begun, only one replica has seen what follows.
    await application.login('admin', 'wrong')
    await head.run()
    expect(head.state().size).toBeGreaterThan(target)
    await Promise.all([log.open(), log.open(log.policyOf(), { deps, head })].map((replica) => replica.run()))
    expect([one.seen.size, two.seen.size]).toEqual([target, target])
    expect([one.requests.length, two.requests.length]).toEqual([1, 1])
    expect(await log.published(log.policyOf('both'))).toBe(target)
  })

  test('that have a smaller size than expected get the proof from there', async () => {
    const witnessing = log.open()
    await witnessing.run()
    await log.record(2)
    one.seen = { size: 0, root: Buffer.alloc(32) }
    await witnessing.run()
    expect(one.requests.slice(1).map((request) => request.split('\n')[0])).toEqual([`old ${log.size() - 2}`, 'old 0'])
    expect(one.seen.size).toBe(log.size())
    expect(failureOf(witnessing)).toBeUndefined()
  })

  test('that have a larger size than the log show that it was rolled back', async () => {
    one.seen = { size: 1000, root: Buffer.alloc(32) }
    const witnessing = log.open()
    await witnessing.run()
    expect(failureOf(witnessing)).toBe('ahead')
    expect(log.events('audit.witness_contradicts')).toEqual([
      expect.objectContaining({ level: 'error', reason: 'ahead', witnesses: ['w1'], size: 1000 }),
    ])
    expect(await log.published()).toBe('not_found')
    expect(failureOf(witnessing, 'w2')).toBeUndefined()
  })

  test('that have a later checkpoint of another replica are left alone', async () => {
    await log.open().run()
    const first = log.size()
    const { database } = application.deps
    await log.record(2)
    await log.open().run()
    await database.audit.setWitness((await database.audit.listWitnesses())[0]?.name ?? '', first, undefined)
    one.respond = () => conflict(log.size())
    const witnessing = log.open()
    application.clock.now -= 30 * minute
    await witnessing.run()
    expect(log.events('audit.witness_contradicts')).toEqual([])
  })

  test('refuse a log with another past, and say so with the evidence', async () => {
    one.seen = { size: 2, root: Buffer.alloc(32, 9) }
    const witnessing = log.open()
    await witnessing.run()
    expect(failureOf(witnessing)).toBe('forked')
    const [line] = log.events('audit.witness_contradicts')
    expect(line).toMatchObject({ level: 'error', reason: 'forked' })
    expect(line?.note).toBe(log.sequencer.signedHead()?.note)
    expect(log.sequencer.state().inconsistency).toBeUndefined()
  })

  test('refuse another root of the same size', async () => {
    const witnessing = log.open()
    await witnessing.run()
    one.respond = () => conflict(log.size())
    application.clock.now += 25 * 60 * minute
    await witnessing.run()
    expect(failureOf(witnessing)).toBe('forked')
  })

  test('that cannot be reached are tried again by one process a minute', async () => {
    const policy = log.policyOf()
    await one.stop()
    const witnessing = log.open(policy)
    await witnessing.run()
    await log.open(policy).run()
    expect(failureOf(witnessing)).toBe('unreachable')
    expect(log.events('audit.witness_failed')).toHaveLength(1)
  })

  test('get nothing while the log is inconsistent', async () => {
    await application.sql(`UPDATE audittrail_audit_checkpoints SET note = replace(note, '— ', '— x')`)
    await log.sequencer.run()
    expect(log.sequencer.state().inconsistency).toBeDefined()
    await log.open().run()
    expect(one.requests).toEqual([])
  })

  test('know a restored log by its new name, from its first checkpoint on', async () => {
    await log.open().run()
    await acceptRestored(application.deps)
    await log.record(1)
    one.seen = { size: 0, root: Buffer.alloc(32) }
    await log.open().run()
    expect(one.requests.at(-1)).toMatch(/^old 0\n\n\S+\/r\d{17}\n/)
    expect(await log.published()).toBe(log.size())
  })

  test('whose stored lines were changed by SQL no longer count', async () => {
    await log.open().run()
    const before = log.size()
    await log.record(1)
    await log.open().run()
    const changed = `regexp_replace(note, '(— witness.example/w1 .{30}).', '\\1' || digit)`
    await application.sql(
      `UPDATE audittrail_audit_checkpoints SET note = ${changed} FROM (VALUES ('0'), ('1')) AS digits (digit)
       WHERE size = ${log.size()} AND ${changed} <> note`,
    )
    expect(await log.published()).toBe(before)
    const { database, audit } = application.deps
    const problems: string[] = []
    const witnesses = log.policyOf()
    const { notes } = await verifyLog({ database, keys: audit.keys, witnesses }, ({ problem }) =>
      problems.push(problem),
    )
    expect(problems).toEqual([`the checkpoint at size ${log.size()} has a wrong cosignature of w1`])
    expect(notes).toContain(
      `a quorum of witnesses has cosigned the first ${before} records, at 2027-01-15T08:00:00.000Z`,
    )
  })
})
