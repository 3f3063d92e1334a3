import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { partyOf } from '../../../src/domain/audit/record.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { changeUser, createUser, deleteUser, resetPassword } from '../../../src/domain/users/users.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { notesOf, problemsOf } from '../auditProblems.ts'

const by = { name: 'test', canManageAdministrators: true }

describe('changes of accounts by SQL that someone hides', () => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await recordBaseline(application.deps, () => false)
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const create = async (username: string, roles: readonly string[] = []) => {
    const draft = { username, full_name: 'X', password: 'a long password of this user', roles }
    return (await createUser(application.deps, by, draft)).user
  }
  const reset = (id: string, password: string) => resetPassword(application.deps, by, id, { password })
  const problems = async () => {
    await sequencer.run()
    return (await problemsOf(application)).join()
  }

  test('are found after the salt was removed for a while', async () => {
    const { id } = await create('mallory')
    await sql('CREATE TABLE saved AS SELECT * FROM audittrail_audit_accounts')
    await sql('DELETE FROM audittrail_audit_accounts')
    await reset(id, 'another long password')
    await sql('INSERT INTO audittrail_audit_accounts SELECT * FROM saved')
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'mallory'`)
    await reset(id, 'a third long password')
    expect(await problems()).toContain('because someone had removed the table of the salt')
  })

  test('are found if a deleted administrator is inserted again', async () => {
    const { id } = await create('mallory', ['admin'])
    await sql(`CREATE TABLE saved AS SELECT * FROM users WHERE username = 'mallory'`)
    await sql(`UPDATE users SET roles = '{}' WHERE username = 'mallory'`)
    await deleteUser(application.deps, by, id)
    await sql('INSERT INTO users SELECT * FROM saved')
    expect(await problems()).toContain('had been changed outside of this service')
  })

  test('are found if a deleted user is inserted again and changed by the service', async () => {
    const { id } = await create('mallory')
    await sql(`CREATE TABLE saved AS SELECT * FROM users WHERE username = 'mallory'`)
    await deleteUser(application.deps, by, id)
    await sql('INSERT INTO users SELECT * FROM saved')
    await reset(id, 'another long password')
    expect(await problems()).toContain('had been changed outside of this service')
  })

  test('are found if a trigger adds them to a change by the service', async () => {
    const { id } = await create('mallory')
    await sql(
      `CREATE FUNCTION grant_role() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.roles = '{admin}'; RETURN NEW; END $$`,
    )
    await sql('CREATE TRIGGER grant_role BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION grant_role()')
    await reset(id, 'another long password')
    await sql('DROP TRIGGER grant_role ON users')
    expect(await problems()).toContain('had its roles changed outside of this service')
  })

  test('are found if another table has a row of the account', async () => {
    const { id } = await create('mallory')
    await sql('CREATE TABLE shadow () INHERITS (users)')
    await sql(`INSERT INTO shadow SELECT * FROM users WHERE username = 'mallory'`)
    await sql(`UPDATE ONLY users SET roles = '{admin}' WHERE username = 'mallory'`)
    expect(await problems()).toContain(`the account ${id} exists more than once`)
  })

  test('are found if a function hides them from verification alone', async () => {
    await create('mallory')
    await sql(`CREATE FUNCTION public.to_json(text[]) RETURNS json LANGUAGE sql AS 'SELECT $json$[]$json$::json'`)
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'mallory'`)
    expect(await problems()).toContain('had its roles changed outside of this service')
  })
})

describe('accounts without findings', () => {
  let application: TestApplication
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
  })
  afterEach(() => application.close())
  const insert = async (columns = '', values = '') => {
    await application.sql(
      `INSERT INTO users (username, hashed_password, full_name ${columns}) VALUES ('bob', '!', 'X' ${values})`,
    )
    return String((await application.sql(`SELECT id::text FROM users WHERE username = 'bob'`))[0]?.id)
  }

  test('are those made by SQL that return to their first state', async () => {
    const { deps } = application
    await recordBaseline(deps, () => false)
    const id = await insert()
    await changeUser(deps, by, id, { full_name: 'Y' })
    await changeUser(deps, by, id, { is_active: false })
    await changeUser(deps, by, id, { is_active: true })
    expect(await problemsOf(application)).toEqual([])
  })

  test('are those with roles that need quotes', async () => {
    const { deps } = application
    const id = await insert(', roles', `, ARRAY['CORP\\staff', 'a"b', 'c,d', '{e}', 'NULL', ' f', NULL]`)
    await recordBaseline(deps, () => false)
    expect(await problemsOf(application)).toEqual([])
    await changeUser(deps, by, id, { is_active: false })
    expect(await problemsOf(application)).toEqual([])
    expect((await deps.database.users.findUser(id))?.roles).toEqual(['CORP\\staff', 'a"b', 'c,d', '{e}', 'NULL', ' f'])
  })

  test('are covered by the baseline after a change that had no state', async () => {
    const { deps } = application
    const id = await insert()
    const event = { event: 'password.rehashed', username: 'bob' } as const
    await recordAlone(deps, { event, about: partyOf({ id, username: 'bob' }) })
    await recordBaseline(deps, () => false)
    expect(await notesOf(application)).toEqual([])
    await application.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'bob'`)
    expect(await problemsOf(application)).toHaveLength(1)
  })
})
