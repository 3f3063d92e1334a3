import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../application.ts'
import { createAccounts } from '../http/accounts.ts'

describe.each(databaseKinds)('an operation that PostgreSQL rolls back, on %s', (kind) => {
  let application: TestApplication
  let token: string
  beforeAll(async () => {
    application = await openTestApplication(kind)
    token = (await makeAdministrator()).token
    // A sequence counts in a transaction that is rolled back too.
    await application.sql('CREATE SEQUENCE attempts')
    await application.sql('CREATE TABLE plan (failures integer, sqlstate text)')
    await application.sql('INSERT INTO plan VALUES (0, NULL)')
    await application.sql(`
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF nextval('attempts') <= (SELECT failures FROM plan)
          THEN RAISE EXCEPTION 'planned' USING ERRCODE = (SELECT sqlstate FROM plan); END IF;
        RETURN NULL; END$$`)
    await application.sql('CREATE TRIGGER fail AFTER INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION fail()')
  })
  afterAll(() => application.close())

  const { json, makeAdministrator, newName } = createAccounts(() => application)

  /** Lets so many attempts fail. Returns the status of a creation and the number of attempts. */
  async function createAfter(failures: number, sqlstate: string) {
    await application.sql(`SELECT setval('attempts', 1, false)`)
    await application.sql(`UPDATE plan SET failures = ${failures}, sqlstate = '${sqlstate}'`)
    const { status } = await json('POST', '/users', token, { username: newName('made'), full_name: 'Made' })
    const [row] = await application.sql(`SELECT nextval('attempts') - 1 AS count`)
    return { status, attempts: Number(row?.count) }
  }

  test.each(['40001', '40P01'])('is repeated up to three times after %s', async (sqlstate) => {
    expect(await createAfter(3, sqlstate)).toEqual({ status: 201, attempts: 4 })
    expect(await createAfter(4, sqlstate)).toEqual({ status: 503, attempts: 4 })
  })

  test.each(['57014', '55P03', '53100', '40002', '40003'])('is not repeated after %s', async (sqlstate) => {
    expect((await createAfter(1, sqlstate)).attempts).toBe(1)
  })

  test('is repeated as a whole transaction', async () => {
    const made = (await (
      await json('POST', '/users', token, { username: newName('made'), full_name: 'Made' })
    ).json()) as { id: string }
    await application.sql(`SELECT setval('attempts', 1, false)`)
    await application.sql(`UPDATE plan SET failures = 2, sqlstate = '40001'`)
    expect((await json('PATCH', `/users/${made.id}`, token, { is_active: false })).status).toBe(200)
  })
})
