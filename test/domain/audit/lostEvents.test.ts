import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { recordsOfLost } from '../../../src/domain/auditVerification/lostEvents.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

describe.each(databaseKinds)('pending events that a failover lost, on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    await application.accessToken()
    await sequencer.run()
  })
  afterEach(() => application.close())

  const losePending = () => application.sql('DELETE FROM audittrail_audit_pending')
  const verify = async () => {
    const found: string[] = []
    const { database, audit } = application.deps
    const { notes } = await verifyLog({ database, keys: audit.keys }, ({ problem }) => found.push(problem))
    return { found, notes }
  }

  test('are named until they are accepted, which lists their numbers', async () => {
    for (let index = 0; index < 3; index++) await application.accessToken()
    await losePending()
    // The process goes on, and its next event is in the log before the loss is accepted.
    await application.accessToken()
    await sequencer.run()
    expect((await verify()).found).toEqual(
      Array(3).fill(expect.stringMatching(/^event \d+ of process \w+ was removed/)),
    )
    await acceptRestored(application.deps, await recordsOfLost(application.deps))
    await sequencer.run()
    const { found, notes } = await verify()
    expect(found).toEqual([])
    expect(notes).toContain('events lost by a restore or failover that was accepted: 3')
    const lost = await application.deps.database.audit.listEvents({ type: 'audit.lost', limit: 10 })
    expect(lost.map(({ leaf }) => JSON.parse(leaf).facts)).toEqual([
      { process: expect.stringMatching(/^[0-9a-f]{16}$/), numbers: expect.stringMatching(/^\d+-\d+$/) },
    ])
  })

  test('are named again if more are removed after that', async () => {
    await application.accessToken()
    await losePending()
    await application.accessToken()
    await sequencer.run()
    await acceptRestored(application.deps, await recordsOfLost(application.deps))
    await sequencer.run()
    await application.accessToken()
    await losePending()
    await application.accessToken()
    await sequencer.run()
    expect((await verify()).found).toEqual([expect.stringMatching(/^event \d+ of process \w+ was removed between/)])
  })
})
