import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { exportLog } from '../../../src/domain/publishedLog/exportLog.ts'
import { logKeys } from '../../../src/domain/publishedLog/published.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { planPruning } from '../../../src/domain/retention/planPruning.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { growLog } from '../publishedLog/filledLog.ts'
import type { Files } from './sampleLog.ts'
import { resultOf } from './verifying.ts'

describe('an export of a pruned log', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
  })
  afterAll(() => application.close())

  test('verifies offline, and continues the checkpoints from the pruned index on', async () => {
    const { deps } = application
    await growLog(application, 600, 100)
    const checkpoints = (await deps.database.audit.listCheckpoints(512, 10)).map(({ note }) => note)
    expect(await planPruning(deps, 'command line', { below: 512 })).toBe(512)
    await createSequencer(deps, true).run()
    await finishPruning(deps)
    const files: Files = new Map()
    for await (const { path, content } of exportLog(deps, 'command line', { personal: true }))
      files.set(path, Buffer.concat([files.get(path) ?? Buffer.alloc(0), content]))
    expect(files.has('tile/0/001')).toBe(false)
    const vkeys = [(await logKeys(deps)).current]
    const { findings, notes } = await resultOf({ files, vkeys, checkpoints })
    // The log was filled by discarding what was pending.
    expect(findings).toEqual(
      [1, 2].map((n) => expect.stringMatching(new RegExp(`^event ${n} of process \\w+ was removed before`))),
    )
    expect(notes).toEqual(['records 0 to 511 were pruned'])
  })
})
