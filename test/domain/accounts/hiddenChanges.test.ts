import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { partyOf } from '../../../src/domain/audit/record.ts'
import { changeUser, deleteUser, resetPassword } from '../../../src/domain/users/users.ts'
import { notesOf, problemsOf } from '../auditProblems.ts'
import { type AccountLog, by, openAccountLog, openCoveredLog } from './accountLog.ts'

describe('changes of accounts by SQL that someone hides', () => {
  let log: AccountLog
  beforeEach(async () => {
    log = await openCoveredLog()
  })
  afterEach(() => log.close())

  const reset = (id: string, password: string) => resetPassword(log.deps, by, id, { password })
  const problems = async () => {
    await log.sequence()
    return (await problemsOf(log)).join()
  }

  test('are found after the salt was removed for a while', async () => {
    const { id } = await log.create('mallory')
    await log.sql('CREATE TABLE saved AS SELECT * FROM audittrail_audit_accounts')
    await log.sql('DELETE FROM audittrail_audit_accounts')
    await reset(id, 'another long password')
    await log.sql('INSERT INTO audittrail_audit_accounts SELECT * FROM saved')
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'mallory'`)
    await reset(id, 'a third long password')
    expect(await problems()).toContain('because someone had removed the salt of account states')
  })

  test('are found if a deleted administrator is inserted again', async () => {
    const { id } = await log.create('mallory', ['admin'])
    await log.sql(`CREATE TABLE saved AS SELECT * FROM users WHERE username = 'mallory'`)
    await log.sql(`UPDATE users SET roles = '{}' WHERE username = 'mallory'`)
    await deleteUser(log.deps, by, id)
    await log.sql('INSERT INTO users SELECT * FROM saved')
    expect(await problems()).toContain('had been changed outside of this service')
  })

  test('are found if a deleted user is inserted again and changed by the service', async () => {
    const { id } = await log.create('mallory')
    await log.sql(`CREATE TABLE saved AS SELECT * FROM users WHERE username = 'mallory'`)
    await deleteUser(log.deps, by, id)
    await log.sql('INSERT INTO users SELECT * FROM saved')
    await reset(id, 'another long password')
    expect(await problems()).toContain('had been changed outside of this service')
  })

  test('are found if a trigger adds them to a change by the service', async () => {
    const { id } = await log.create('mallory')
    await log.sql(
      `CREATE FUNCTION grant_role() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.roles = '{admin}'; RETURN NEW; END $$`,
    )
    await log.sql('CREATE TRIGGER grant_role BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION grant_role()')
    await reset(id, 'another long password')
    await log.sql('DROP TRIGGER grant_role ON users')
    expect(await problems()).toContain('had its roles changed outside of this service')
  })

  test('are found if another table has a row of the account', async () => {
    const { id } = await log.create('mallory')
    await log.sql('CREATE TABLE shadow () INHERITS (users)')
    await log.sql(`INSERT INTO shadow SELECT * FROM users WHERE username = 'mallory'`)
    await log.sql(`UPDATE ONLY users SET roles = '{admin}' WHERE username = 'mallory'`)
    expect(await problems()).toContain(`the account ${id} exists more than once`)
  })

  test('are found if a function hides them from verification alone', async () => {
    await log.create('mallory')
    await log.sql(`CREATE FUNCTION public.to_json(text[]) RETURNS json LANGUAGE sql AS 'SELECT $json$[]$json$::json'`)
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'mallory'`)
    expect(await problems()).toContain('had its roles changed outside of this service')
  })
})

describe('accounts without findings', () => {
  let log: AccountLog
  beforeEach(async () => {
    log = await openAccountLog()
  })
  afterEach(() => log.close())
  const insert = async (columns = '', values = '') => {
    await log.sql(
      `INSERT INTO users (username, hashed_password, full_name ${columns}) VALUES ('bob', '!', 'X' ${values})`,
    )
    return String((await log.sql(`SELECT id::text FROM users WHERE username = 'bob'`))[0]?.id)
  }

  test('are those made by SQL that return to their first state', async () => {
    const { deps } = log
    await recordBaseline(deps, () => false)
    const id = await insert()
    await changeUser(deps, by, id, { full_name: 'Y' })
    await changeUser(deps, by, id, { is_active: false })
    await changeUser(deps, by, id, { is_active: true })
    expect(await problemsOf(log)).toEqual([])
  })

  test('are those with roles that need quotes', async () => {
    const { deps } = log
    const id = await insert(', roles', `, ARRAY['CORP\\staff', 'a"b', 'c,d', '{e}', 'NULL', ' f', NULL]`)
    await recordBaseline(deps, () => false)
    expect(await problemsOf(log)).toEqual([])
    await changeUser(deps, by, id, { is_active: false })
    expect(await problemsOf(log)).toEqual([])
    expect((await deps.database.users.findUser(id))?.roles).toEqual(['CORP\\staff', 'a"b', 'c,d', '{e}', 'NULL', ' f'])
  })

  test('are covered by the baseline after a change that had no state', async () => {
    const { deps } = log
    const id = await insert()
    const event = { event: 'password.rehashed', username: 'bob' } as const
    await recordAlone(deps, { event, about: partyOf({ id, username: 'bob' }) })
    await recordBaseline(deps, () => false)
    expect(await notesOf(log)).toEqual([])
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'bob'`)
    expect(await problemsOf(log)).toHaveLength(1)
  })
})
