import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const pending = 'audittrail_audit_pending'

describe.each(databaseKinds)('a pending event of this service, on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    await sequencer.run()
    await application.login('admin', 'wrong')
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const refusedAt = (value: string) => sql(`UPDATE ${pending} SET refused_at = ${value}`)
  const verify = async () => {
    const problems: string[] = []
    const { database, audit } = application.deps
    const { notes } = await verifyLog({ database, keys: audit.keys }, ({ problem }) => problems.push(problem))
    return { problems, notes: notes.join() }
  }

  test.each(["'2999-01-01'", "now() - interval '61 seconds'"])('is taken with refused_at %s', async (value) => {
    await refusedAt(value)
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 0 })
  })

  test('is not taken within a minute of its refusal, whatever the clock of the server says', async () => {
    await refusedAt("now() - interval '5 seconds'")
    application.clock.now += 3_600_000
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 1 })
  })

  test('is named by verification if its refused_at is in the future', async () => {
    await refusedAt("'2999-01-01'")
    expect((await verify()).problems.join()).toMatch(/^the pending event \d+ is kept out of the log/)
  })

  test('is noted by verification if a server has refused it', async () => {
    expect((await verify()).notes).not.toContain('refused')
    await refusedAt("now() - interval '5 seconds'")
    const { problems, notes } = await verify()
    expect(problems).toEqual([])
    expect(notes).toContain('pending events refused by a server without their SECRET_KEY or by the database: 1')
  })
})

describe('a sequencer', () => {
  test('that another transaction locks out is not current', async () => {
    const application = await openTestApplication('PostgreSQL')
    const sequencer = createSequencer(application.deps, true)
    await sequencer.run()
    const { sequencedAt } = sequencer.state()
    const release = await application.hold('SELECT pg_advisory_xact_lock(7022629598041763687)')
    application.clock.now += 60_000
    await application.login('admin', 'wrong')
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ sequencedAt, pending: 1 })
    await release()
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ sequencedAt: application.clock.now, pending: 0 })
    await application.close()
  })
})
