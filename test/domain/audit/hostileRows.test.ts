import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { problemsOf } from '../auditProblems.ts'

const events = 'audittrail_audit_events'
const pending = 'audittrail_audit_pending'
const copied = 'process, n, leaf, by_private, about_private, mac'

describe('rows that someone else wrote', () => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await application.login()
    await sequencer.run()
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const size = async () => Number((await sql(`SELECT count(*)::int AS count FROM ${events}`))[0]?.count)

  const problems = () => problemsOf(application)

  test.each([
    ['the highest number', `n = 9223372036854775807`],
    ['a negative number', 'n = -1'],
    ['a number beyond those that JavaScript tells apart', 'n = 9007199254740993'],
    ['no MAC', `mac = ''`],
    ['a leaf that is no JSON', `leaf = 'x'`],
    ['a leaf of another process', `process = 'other'`],
    ['another personal text', `about_private = '{"salt":"x","username":"other"}'`],
    ['no personal text', 'by_private = NULL'],
  ])('a pending row with %s stays out of the log, is named, and keeps no other out', async (_, change) => {
    const before = await size()
    await application.login()
    await sql(`UPDATE ${pending} SET ${change}`)
    await application.login()
    await sequencer.run()
    expect(await size()).toBe(before + 1)
    expect(sequencer.state()).toMatchObject({ refused: 1, pending: 0, inconsistency: undefined })
    expect((await problems())[0]).toMatch(/^the pending event -?\d+ was not written by this service$/)
  })

  test.each(['-9223372036854775808', '-1', '9007199254740993', '9223372036854775807'])(
    'a pending row with the id %s stays out of the log and is named',
    async (id) => {
      const before = await size()
      await sql(`INSERT INTO ${pending} (id, ${copied}) OVERRIDING SYSTEM VALUE SELECT ${id}, process, n + 1000, leaf,
        by_private, about_private, '' FROM ${events} LIMIT 1`)
      await application.login()
      await sequencer.run()
      expect(await size()).toBe(before + 1)
      expect(await problems()).toEqual([`the pending event ${id} was not written by this service`])
    },
  )

  test('a pending copy of a record is named', async () => {
    await application.login()
    await sql(`CREATE TABLE saved AS TABLE ${pending}`)
    await sequencer.run()
    await sql(`INSERT INTO ${pending} (${copied}) SELECT ${copied} FROM saved`)
    await sequencer.run()
    expect(await problems()).toEqual([expect.stringMatching(/^the pending event \d+ is a copy of record \d+$/)])
  })

  test.each(['-9223372036854775808', '-1', '1000', '9007199254740993', '9223372036854775807'])(
    'a record with the index %s is named, and stops the log',
    async (index) => {
      await sql(`INSERT INTO ${events} SELECT ${index}, leaf, hash, seal, process, n + 5000, time, type, by_id, about_id, outcome,
        by_private, about_private FROM ${events} WHERE index = 0`)
      expect((await problems()).join()).toMatch(/^-?\d+: is not covered by the newest checkpoint$/)
      await application.login()
      await sequencer.run()
      expect(sequencer.state().inconsistency).toBe(index.startsWith('-') ? undefined : 'beyond_head')
    },
  )

  test('a node beyond the head is named', async () => {
    await sql(`INSERT INTO audittrail_audit_nodes VALUES (1, 0, decode(repeat('00', 32), 'hex'))`)
    expect(await problems()).toEqual(['the node 1/0 is not covered by the newest checkpoint'])
  })

  test('a record with an infinite time is named', async () => {
    await sql(`UPDATE ${events} SET time = 'infinity' WHERE index = 1`)
    expect(await problems()).toEqual(['1: has another time than its leaf'])
  })
})
