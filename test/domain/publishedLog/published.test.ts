import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { publishedHead } from '../../../src/domain/publishedLog/published.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { openWitnessedLog, type WitnessedLog } from '../witnesses/witnessedLog.ts'
import { growLog } from './filledLog.ts'

describe('the published head', () => {
  let application: TestApplication
  let log: WitnessedLog
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
    log = await openWitnessedLog('PostgreSQL')
  })
  afterAll(async () => {
    await log.close()
    await application.close()
  })

  test.each([0, 1])('of size %p waits for the witnesses, if there are any', async (size) => {
    await growLog(application, size)
    expect((await publishedHead(application.deps)).size).toBe(size)
    const published = publishedHead({ ...application.deps, witnesses: log.policyOf() })
    await expect(published).rejects.toMatchObject({ code: 'not_found' })
  })
})
