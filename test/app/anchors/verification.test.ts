import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { keptCheckpointsOf } from '../../../src/app/anchors/anchors.ts'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { databaseKinds, type TestApplication } from '../../application.ts'
import { type AnchoredLog, openAnchoredLog } from './anchoredLog.ts'

describe.each(databaseKinds)('AUDIT_CHECKPOINT_FILE in a verification, on %s', (kind) => {
  let log: AnchoredLog
  let application: TestApplication
  let path: string
  let first: number
  beforeEach(async () => {
    log = await openAnchoredLog(kind)
    ;({ application, path, first } = log)
  })
  afterEach(() => application.close())

  async function verify() {
    const { database, audit } = application.deps
    const problems: string[] = []
    const readKept = keptCheckpointsOf(path)
    const { notes } = await verifyLog({ database, keys: audit.keys, readKept }, ({ problem }) => problems.push(problem))
    return { problems, last: notes.at(-1), notes }
  }

  test('is compared with the log by a verification', async () => {
    await log.record(2)
    await log.record(2)
    const { problems, last } = await verify()
    expect(problems).toEqual([])
    expect(last).toStartWith(
      `the log was compared with 2 checkpoints of AUDIT_CHECKPOINT_FILE; not ruled out above ${first + 4}, the newest: `,
    )
  })

  test('shows a verification that the end of the log was cut, or an older copy restored', async () => {
    await log.record(2)
    await log.save()
    await log.record(2)
    await log.restore()
    expect((await verify()).problems).toEqual([
      `the log ends at ${first + 2}, but AUDIT_CHECKPOINT_FILE has a checkpoint of size ${first + 4}: its end was removed, or an older copy was restored`,
    ])
  })

  test('shows a verification that the past was rewritten with SECRET_KEY', async () => {
    await log.record(2)
    await log.save()
    await log.record(2)
    await log.restore()
    await log.fail(5)
    await createSequencer(application.deps, true).run()
    expect((await verify()).problems.filter((problem) => problem.includes('AUDIT_CHECKPOINT_FILE'))).toEqual([
      `the records below ${first + 4} are not the ones of the checkpoint of that size in AUDIT_CHECKPOINT_FILE`,
    ])
  })

  test('shows a verification that the log has another name', async () => {
    await log.record(2)
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^.*\n/, 'auth.example.com/api/audit/log\n'))
    expect((await verify()).problems).toEqual(['AUDIT_CHECKPOINT_FILE has 1 checkpoint of a log with another name'])
  })

  test('has checkpoints that an accepted restore has lost, which is no finding', async () => {
    await log.record(2)
    await log.save()
    await log.record(2)
    await log.record(2)
    await log.restore()
    await acceptRestored(application.deps)
    await log.record(1)
    const { problems, notes } = await verify()
    expect(problems.filter((problem) => problem.includes('CHECKPOINT_FILE'))).toEqual([])
    expect(notes).toContain('a restore that was accepted has lost 2 checkpoints in AUDIT_CHECKPOINT_FILE')
  })

  test('that cannot be read is noted by a verification', async () => {
    await log.record(1)
    renameSync(path, `${path}.moved`)
    const { problems, notes, last } = await verify()
    expect(problems).toEqual([])
    expect(notes).toContain('AUDIT_CHECKPOINT_FILE could not be read (ENOENT)')
    expect(last).toStartWith('not ruled out, because nothing outside of the database was given')
  })
})
