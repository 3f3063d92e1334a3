import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { createRegularVerification, type RegularVerification } from '../../../src/domain/verifiedLog/regular.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'

const minute = 60_000
const day = 24 * 60 * minute

describe.each(databaseKinds)('regular verification of the audit log on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  let regular: RegularVerification
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    regular = createRegularVerification(application.deps)
    await recordAlone(application.deps, { event: { event: 'password.rehashed', username: 'admin' } })
    await sequencer.run()
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const run = async (verification = regular) => {
    await verification.run(() => false)
    await sequencer.run()
  }
  const verified = async (): Promise<string[]> => {
    const events = await application.deps.database.audit.listEvents({ type: 'audit.verified', from: 0, limit: 100 })
    return events.map(({ leaf }) => {
      const { scope, result, findings } = JSON.parse(leaf).facts
      return `${scope} ${result} ${findings}`
    })
  }
  const linesOf = (event: string) => application.lines.filter((line) => line.event === event)

  test('verifies the whole log after a day, and then the new records each day', async () => {
    const began = application.clock.now
    await run()
    expect(regular.state()).toEqual({ verifiedAt: began, findings: 0 })
    application.clock.now += day - 1
    await run()
    expect(await verified()).toEqual([])
    application.clock.now += 1
    await run()
    await run()
    expect(await verified()).toEqual(['whole intact 0'])
    expect(regular.state()).toEqual({ verifiedAt: application.clock.now, findings: 0 })
    for (let days = 0; days < 29; days++) {
      application.clock.now += day
      await run()
    }
    expect(await verified()).toEqual(['whole intact 0', ...Array(29).fill('new intact 0')])
    application.clock.now += day
    await run()
    expect((await verified()).at(-1)).toBe('whole intact 0')
  })

  test('waits ten minutes after the start, and knows the time of the last one', async () => {
    application.clock.now += day
    const late = createRegularVerification(application.deps)
    await run(late)
    application.clock.now += 10 * minute - 1
    await run(late)
    expect(await verified()).toEqual([])
    application.clock.now += 1
    await run(late)
    expect(await verified()).toHaveLength(1)
    const at = application.clock.now
    const restarted = createRegularVerification(application.deps)
    application.clock.now += day - 1
    await run(restarted)
    expect(restarted.state()).toEqual({ verifiedAt: at, findings: 0 })
    expect(await verified()).toHaveLength(1)
  })

  test('is done by one of several replicas', async () => {
    const replicas = [regular, ...[1, 2, 3].map(() => createRegularVerification(openReplica(application).deps))]
    for (let days = 0; days < 3; days++) {
      application.clock.now += day
      await Promise.all(replicas.map((replica) => replica.run(() => false)))
      await Promise.all(replicas.map((replica) => replica.run(() => false)))
      await sequencer.run()
      await Promise.all(replicas.map((replica) => replica.run(() => false)))
    }
    expect(await verified()).toEqual(['whole intact 0', 'new intact 0', 'new intact 0'])
    expect(replicas.map((replica) => replica.state())).toEqual(
      Array(4).fill({ verifiedAt: application.clock.now, findings: 0 }),
    )
  })

  test('logs the first findings of an old record until the whole log is intact', async () => {
    application.clock.now += day
    await run()
    const [{ type = '' } = {}] = await application.deps.database.audit.listEvents({ from: 0, limit: 1 })
    await sql(`UPDATE audittrail_audit_events SET type = 'x' WHERE index = 0`)
    application.clock.now += 30 * day
    await run()
    expect(regular.state().findings).toBe(1)
    expect(linesOf('audit.verified').at(-1)).toMatchObject({
      level: 'error',
      result: 'tampered',
      scope: 'whole',
      listed: [expect.stringMatching(/^record 0 \(.*Z x\) has another type than its leaf$/)],
    })
    expect(linesOf('audit.verification_repeated')).toHaveLength(1)
    const [{ leaf = '' } = {}] = await application.deps.database.audit.listEvents({ type: 'audit.verified', limit: 1 })
    expect(leaf).not.toContain('another type')
    application.clock.now += day
    await run()
    await sql(`UPDATE audittrail_audit_events SET type = '${type}' WHERE index = 0`)
    application.clock.now += day
    await run()
    application.clock.now += day
    await run()
    expect(await verified()).toEqual([
      'whole intact 0',
      'whole tampered 1',
      'whole tampered 1',
      'whole intact 0',
      'new intact 0',
    ])
    expect(regular.state().findings).toBe(0)
  })

  test('finds a new record that was changed, and confirms it by the whole log', async () => {
    application.clock.now += day
    await run()
    await recordAlone(application.deps, { event: { event: 'password.rehashed', username: 'admin' } })
    await sequencer.run()
    await sql(
      `UPDATE audittrail_audit_events SET outcome = 'x' WHERE index = (SELECT max(index) FROM audittrail_audit_events)`,
    )
    application.clock.now += day
    await run()
    expect(await verified()).toEqual(['whole intact 0', 'whole tampered 1'])
    expect((await application.call('/ready')).status).toBe(200)
    expect((await application.login()).status).toBe(200)
  })

  test('is not repeated while its record cannot enter the log', async () => {
    application.clock.now += day
    for (let round = 0; round < 3; round++) {
      await regular.run(() => false)
      await createRegularVerification(openReplica(application, { clock: () => application.clock.now }).deps).run(
        () => false,
      )
      application.clock.now += 11 * minute
    }
    expect(await sql(`SELECT FROM audittrail_audit_pending WHERE leaf LIKE '%audit.verified%'`)).toHaveLength(1)
  })

  test('reports its result although it cannot be recorded', async () => {
    application.clock.now += day
    await sql(`UPDATE audittrail_audit_events SET type = 'x' WHERE index = 0`)
    await sql(`CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`)
    await sql('CREATE TRIGGER reject BEFORE INSERT ON audittrail_audit_pending FOR EACH ROW EXECUTE FUNCTION reject()')
    const failing = createRegularVerification(application.deps)
    application.clock.now += 10 * minute
    await failing.run(() => false)
    await failing.run(() => false)
    expect(failing.state()).toMatchObject({ findings: 1, verifiedAt: application.clock.now })
    expect(linesOf('audit.verified').map(({ level }) => level)).toEqual(['error'])
    expect(linesOf('audit.not_recorded')).toHaveLength(1)
  })

  test('ends when the server stops, and waits an hour before it is tried again', async () => {
    application.clock.now += day
    expect(await regular.run(() => true).catch((error: unknown) => error)).toMatchObject({ code: 'unavailable' })
    await run()
    expect(await verified()).toEqual([])
    await sql(`UPDATE audittrail_audit_witnesses SET claimed_until = now() - interval '1 second'`)
    await run()
    expect(await verified()).toEqual(['whole intact 0'])
  })
})
