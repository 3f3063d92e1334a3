import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { problemsOf } from '../auditProblems.ts'

/** 1 sign-in, then as many failures as fit into a second. */
const failures = 8

describe('audit log verification', () => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await application.accessToken()
    for (let index = 0; index < failures; index++) {
      application.clock.now += 20 * 60_000
      await application.login('admin', `wrong ${index}`)
    }
    await sequencer.run()
  })
  afterEach(() => application.close())

  const problems = () => problemsOf(application)
  const sql = (query: string) => application.sql(query)
  const events = 'audittrail_audit_events'

  test('finds nothing in an untouched log', async () => {
    expect(await problems()).toEqual([])
  })

  test('names a record whose leaf was edited', async () => {
    await sql(`UPDATE ${events} SET leaf = replace(leaf, 'wrong_password', 'unknown_user') WHERE index = 5`)
    expect((await problems())[0]).toStartWith('5: was edited')
  })

  test('names a record that was edited with its hash, and stops signing', async () => {
    const [row] = await sql(
      `SELECT replace(leaf, 'wrong_password', 'unknown_user') AS leaf FROM ${events} WHERE index = 5`,
    )
    const leaf = String(row?.leaf)
    const hash = createHash('sha256').update('\0').update(leaf).digest('hex')
    await sql(`UPDATE ${events} SET leaf = '${leaf}', hash = decode('${hash}', 'hex') WHERE index = 5`)
    expect(await problems()).toEqual(['5: was edited or inserted: its seal does not fit'])
    await application.login('admin', 'wrong again')
    const restarted = createSequencer(application.deps, true)
    await restarted.run()
    expect(restarted.state().inconsistency).toBe('root')
    expect(await sql('SELECT FROM audittrail_audit_pending')).toHaveLength(1)
    expect(application.lines.at(-1)?.event).toBe('audit.inconsistent')
  })

  test('names a record that was deleted from the middle', async () => {
    await sql(`DELETE FROM ${events} WHERE index = 5`)
    expect(await problems()).toContain('record 5 is missing')
  })

  test('names the records of a tail that was cut', async () => {
    await sql(`DELETE FROM ${events} WHERE index >= 7`)
    expect((await problems())[0]).toStartWith('records 7 to ')
  })

  test('names the events of a tail that was cut with its checkpoints while the server runs', async () => {
    application.clock.now += 20 * 60_000
    await application.login('admin', 'one more')
    await sequencer.run()
    await sql(`DELETE FROM ${events} WHERE index >= (SELECT max(index) FROM ${events})`)
    await sql(
      'DELETE FROM audittrail_audit_checkpoints WHERE size = (SELECT max(size) FROM audittrail_audit_checkpoints)',
    )
    application.clock.now += 20 * 60_000
    await application.login('admin', 'after the cut')
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBe('rolled_back')
    expect((await problems()).join()).toMatch(/^event \d+ of process \w+ was removed after index \d+$/)
  })

  test('names both of two records that were swapped', async () => {
    await sql(`UPDATE ${events} SET index = CASE index WHEN 5 THEN -6 ELSE -5 END WHERE index IN (5, 6)`)
    await sql(`UPDATE ${events} SET index = -index WHERE index < 0`)
    expect((await problems()).filter((problem) => problem.includes('index'))).toEqual([
      '5: is the record of index 6',
      '6: is the record of index 5',
    ])
  })

  test('names a copy that was inserted', async () => {
    await sql(`INSERT INTO ${events} SELECT index + 1000000, leaf, hash, seal, process, n + 5000, time, type, by_id, about_id, outcome,
      by_private, about_private FROM ${events} WHERE index = 5`)
    expect((await problems()).some((problem) => problem.startsWith('1000005: '))).toBe(true)
  })

  test('names a pending event that was deleted', async () => {
    application.clock.now += 20 * 60_000
    await application.login('admin', 'one')
    await sql('DELETE FROM audittrail_audit_pending')
    application.clock.now += 20 * 60_000
    await application.login('admin', 'two')
    await sequencer.run()
    expect((await problems()).join()).toMatch(/^event \d+ of process \w+ was removed between the indexes \d+ and \d+$/)
  })

  test('names a pending event that someone else wrote, and keeps it out of the log', async () => {
    await sql(`INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      SELECT process, n + 100, leaf, by_private, about_private, decode('00', 'hex') FROM ${events} WHERE index = 5`)
    await sequencer.run()
    expect((await problems()).join()).toMatch(/^the pending event \d+ was not written by this service$/)
  })

  test('refuses a copy of a genuine event', async () => {
    const { length } = await application.deps.database.audit.listEvents({ from: 0, limit: 1000 })
    await application.login('admin', 'copied')
    await sql(`INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      SELECT process, n, leaf, by_private, about_private, mac FROM audittrail_audit_pending`)
    await sequencer.run()
    expect(await application.deps.database.audit.listEvents({ from: 0, limit: 1000 })).toHaveLength(length + 1)
    expect(await application.deps.database.audit.countPending()).toMatchObject({ pending: 0, refused: 1 })
  })

  test.each([
    ['type', `type = 'logout'`],
    ['time', `time = time + interval '1 second'`],
    ['outcome', `outcome = 'done'`],
    ['by_id', `by_id = '00000000-0000-4000-8000-000000000000'`],
    ['about_id', 'about_id = NULL'],
    ['n', 'n = n + 5000'],
  ])('names a record whose column %s was changed', async (column, change) => {
    await sql(`UPDATE ${events} SET ${change} WHERE index = 5`)
    expect(await problems()).toEqual([`5: has another ${column} than its leaf`])
  })

  test.each([
    ['removed', 'NULL'],
    ['changed', `replace(about_private, 'admin', 'other')`],
  ])('names a record whose personal text was %s', async (what, value) => {
    await sql(`UPDATE ${events} SET about_private = ${value} WHERE index = 5`)
    expect(await problems()).toEqual([`5: had its about_private ${what}`])
  })

  test('names a checkpoint that the service did not sign', async () => {
    await sql(`UPDATE audittrail_audit_checkpoints SET note = replace(note, '—', '-')`)
    expect((await problems())[0]).toContain('was not signed by this service')
  })

  test('accepts a log that was rolled back once told to, and keeps verifying', async () => {
    const { size } = sequencer.state()
    application.clock.now += 20 * 60_000
    await application.login('admin', 'lost by the restore')
    await sequencer.run()
    await sql(`DELETE FROM ${events} WHERE index >= ${size}`)
    await sql(`DELETE FROM audittrail_audit_checkpoints WHERE size > ${size}`)
    await sequencer.run()
    expect(sequencer.state().inconsistency).toBe('rolled_back')
    expect((await application.login()).status).toBe(200)
    expect(await acceptRestored(application.deps)).toEqual({
      origin: expect.stringMatching(/^audittrail\/test\/r\d{17}$/),
      size,
    })
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ inconsistency: undefined, size: size + 2, pending: 0 })
    expect(await problems()).toEqual([])
  })
})
