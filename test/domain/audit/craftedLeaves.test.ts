import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { problemsOf } from '../auditProblems.ts'

const events = 'audittrail_audit_events'
const edited = '3: was edited: its leaf does not have its hash'

describe.each(databaseKinds)('verification of a record with a crafted leaf on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
    for (let index = 0; index < 6; index++) await application.accessToken()
    await createSequencer(application.deps, true).run()
  })
  afterAll(() => application.close())

  const problems = () => problemsOf(application)

  /** Verifies the log with another leaf of record 3, and restores it. */
  async function problemsWith(change: Record<string, unknown>, columns = ''): Promise<readonly string[]> {
    const [row] = await application.sql(`SELECT leaf, encode(hash, 'hex') AS hash, type FROM ${events} WHERE index = 3`)
    const leaf = JSON.stringify({ ...JSON.parse(String(row?.leaf)), ...change })
    const hash = createHash('sha256').update('\0').update(leaf).digest('hex')
    const set = (text: string, rest: string) =>
      application.sql(`UPDATE ${events} SET leaf = '${text}' ${rest} WHERE index = 3`)
    await set(leaf, columns.replace('HASH', hash))
    const found = await problems()
    await set(String(row?.leaf), `, hash = decode('${row?.hash}', 'hex'), type = '${row?.type}'`)
    return found
  }

  const hostile: [string, Record<string, unknown>][] = [
    ['no actor', { by: null }],
    ['a list as its actor', { by: [] }],
    ['an actor id that is no text', { by: { kind: 'user', id: {} } }],
    ['a subject that is no object', { about: 'carol' }],
    ['no facts', { facts: null }],
    ['a number of 2^53 - 1', { n: 9_007_199_254_740_991, done: 9_007_199_254_740_990 }],
    ['a negative number', { n: -1, done: -2 }],
    ['nine billion lost numbers', { n: 9_000_000_001, lost: '1-9000000000' }],
    ['lost numbers that are no text', { lost: 5 }],
    ['lost numbers that are not numbers', { lost: 'x-y' }],
    ['unsure numbers in the wrong order', { unsure: '9-1' }],
    ['a settled number above its own', { n: 2, done: 1_000_000_000_000 }],
    ['a time that is none', { time: 'never' }],
    ['another version', { v: 2 }],
  ]

  test.each(hostile)('with %s names it, and nothing else', async (_, change) => {
    expect(await problemsWith(change)).toEqual([edited])
  })

  test.each(hostile)('with %s and its hash names it', async (_, change) => {
    const found = await problemsWith(change, `, hash = decode('HASH', 'hex')`)
    expect(found).toContain('3: was edited or inserted: its seal does not fit')
    expect(found.every((problem) => problem.startsWith('3: '))).toBe(true)
  })

  test('that claims a change of SECRET_KEY excuses no other record', async () => {
    await application.sql(`UPDATE ${events} SET seal = decode('00', 'hex') WHERE index = 5`)
    const fake = { type: 'key.reset', facts: {} }
    const named = '5: was edited or inserted: its seal does not fit'
    expect(await problemsWith(fake, `, type = 'key.reset'`)).toEqual([edited, named])
    expect(await problemsWith(fake, `, type = 'key.reset', hash = decode('HASH', 'hex')`)).toEqual([
      '3: was edited or inserted: its seal does not fit',
      named,
    ])
  })
})
