import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { problemsOf } from '../auditProblems.ts'

const events = 'audittrail_audit_events'
const pending = 'audittrail_audit_pending'

describe.each(databaseKinds)('a pending event that the database rejects, on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    await application.login()
    await sequencer.run()
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const size = async () => Number((await sql(`SELECT count(*)::int AS count FROM ${events}`))[0]?.count)
  const trigger = (body: string, when = '') =>
    sql(`CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$;
      CREATE TRIGGER reject BEFORE INSERT ON ${events} FOR EACH ROW ${when} EXECUTE FUNCTION reject()`)
  const isRefusal = `WHEN (NEW.outcome = 'refused')`

  test.each([
    ['a constraint', () => sql(`ALTER TABLE ${events} ADD CHECK (outcome = 'done') NOT VALID`)],
    ['a trigger that fails', () => trigger(`RAISE EXCEPTION 'no'`, isRefusal)],
    ['a trigger that discards rows', () => trigger('RETURN NULL', isRefusal)],
    ['a value that is too large', () => trigger('PERFORM (NEW.index + 99999)::smallint; RETURN NEW', isRefusal)],
  ])('because of %s is set aside, and keeps no other out', async (_, add) => {
    const before = await size()
    await add()
    await application.login()
    await application.login('admin', 'wrong')
    await application.login()
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 1, inconsistency: undefined })
    expect(await size()).toBe(before + 2)
    await application.login()
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 1 })
    expect(await problemsOf(application)).toEqual([])
  })

  test('because of another event of the same batch is set aside alone', async () => {
    await sql(`CREATE UNIQUE INDEX ON ${events} (outcome) WHERE outcome = 'refused'`)
    for (let count = 0; count < 3; count++) await application.login('admin', 'wrong')
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 2 })
    expect(await problemsOf(application)).toEqual([])
  })

  test('is taken once the database lets it', async () => {
    await trigger(`RAISE EXCEPTION 'no'`, isRefusal)
    await application.login('admin', 'wrong')
    await application.login()
    await sequencer.run()
    const retry = () => sql(`UPDATE ${pending} SET refused_at = now() - interval '61 seconds'`)
    await retry()
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 1 })
    await sql(`DROP TRIGGER reject ON ${events}`)
    await retry()
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 0 })
    expect(await problemsOf(application)).toEqual([])
  })

  test('is named in the log with its row and the SQLSTATE', async () => {
    await trigger(`RAISE EXCEPTION 'no'`, isRefusal)
    await application.login('admin', 'wrong')
    await application.login()
    const [row] = await sql(`SELECT min(id)::text AS id FROM ${pending}`)
    await sequencer.run()
    const line = application.lines.find(({ event }) => event === 'audit.rows_set_aside')
    expect(line).toMatchObject({ rows: [row?.id], count: 1 })
    expect(JSON.stringify(line)).toContain('P0001')
  })

  test.each([
    ['a trigger', () => trigger(`RAISE EXCEPTION 'no'`)],
    ['a constraint', () => sql(`ALTER TABLE ${events} ADD CHECK (index < 0) NOT VALID`)],
    ['another name of a column', () => sql(`ALTER TABLE ${events} RENAME outcome TO result`)],
  ])('like every other one, because of %s, is not set aside', async (_, add) => {
    await add()
    for (let count = 0; count < 20; count++) await application.login('admin', 'wrong')
    const [waiting] = await sql(`SELECT count(*)::int AS count FROM ${pending}`)
    await sequencer.run().catch(() => {})
    expect(sequencer.state()).toMatchObject({ pending: waiting?.count, refused: 0 })
  })

  test('is found among many, in front of all others', async () => {
    await trigger(`RAISE EXCEPTION 'no'`, isRefusal)
    for (let count = 0; count < 3; count++) await application.login('admin', 'wrong')
    for (let count = 0; count < 25; count++) await application.login()
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 3 })
    expect(await problemsOf(application)).toEqual([])
  })
})
