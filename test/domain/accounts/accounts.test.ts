import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { acceptAccount } from '../../../src/domain/accountVerification/accept.ts'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { changeUser, createUser, deleteUser, resetPassword } from '../../../src/domain/users/users.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { notesOf, problemsOf } from '../auditProblems.ts'

const by = { name: 'test', canManageAdministrators: true }

describe('accounts in the audit log', () => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await recordBaseline(application.deps, () => false)
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const problems = () => problemsOf(application)
  const create = async (username: string, roles: readonly string[] = []) => {
    const draft = { username, full_name: 'X', password: 'a long password of this user', roles }
    return (await createUser(application.deps, by, draft)).user
  }
  const login = (username: string) => application.login(username, 'a long password of this user')

  test('have no findings after any change by the service, pending or in the log', async () => {
    const { deps } = application
    const { id } = await create('alice', ['editor'])
    await changeUser(deps, by, id, { roles: ['admin', 'editor'] })
    await changeUser(deps, by, id, { is_active: false })
    await resetPassword(deps, by, id, { password: 'another password of hers' })
    await create('bob')
    await deleteUser(deps, by, (await create('carol')).id)
    expect(await problems()).toEqual([])
    await sequencer.run()
    expect(await problems()).toEqual([])
    expect(await notesOf(application)).toEqual([])
  })

  test('are named if SQL has granted a role', async () => {
    const { id } = await create('alice')
    await sequencer.run()
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    expect(await problems()).toEqual([`the account "alice" (${id}) had its roles changed outside of this service`])
  })

  test.each([
    [`hashed_password = (SELECT hashed_password FROM users WHERE username = 'admin')`],
    ['is_active = false'],
    ['must_change_password = false'],
    [`username = 'alice2'`],
  ])('are named if SQL has set %s', async (change) => {
    await create('alice')
    await sql(`UPDATE users SET ${change} WHERE username = 'alice'`)
    expect((await problems()).join()).toMatch(
      /^the account "alice2?" \(\S+\) had its password, username or status changed/,
    )
  })

  test('are named if SQL has granted a role, and a change by the service followed', async () => {
    const { id } = await create('alice')
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    await changeUser(application.deps, by, id, { is_active: false })
    await sequencer.run()
    expect((await problems()).join()).toMatch(/^\d+: shows that the account "alice" \(\S+\) had been changed outside/)
    await sql(`UPDATE users SET roles = '{}' WHERE username = 'alice'`)
    expect(await problems()).toHaveLength(2)
  })

  test('are named if SQL has deleted them, or restored a deleted one', async () => {
    const alice = await create('alice')
    const bob = await create('bob')
    await sql('CREATE TABLE saved AS SELECT * FROM users')
    await deleteUser(application.deps, by, bob.id)
    await sql(`DELETE FROM users WHERE username = 'alice'`)
    await sql(`INSERT INTO users SELECT * FROM saved WHERE username = 'bob'`)
    expect((await problems()).toSorted()).toEqual(
      [
        `the account "bob" (${bob.id}) was deleted by this service, but exists`,
        `the account ${alice.id} was deleted outside of this service`,
      ].toSorted(),
    )
  })

  test('may be made by SQL without roles', async () => {
    const insert = (name: string, columns = '', values = '') =>
      sql(`INSERT INTO users (username, hashed_password, full_name ${columns}) VALUES ('${name}', '!', 'X' ${values})`)
    await insert('alice')
    expect(await problems()).toEqual([])
    expect(await notesOf(application)).toEqual([
      '1 account is made by SQL, and not covered until this service changes it',
    ])
    const [row] = await sql(`SELECT id::text FROM users WHERE username = 'alice'`)
    await changeUser(application.deps, by, String(row?.id), { roles: ['editor'] })
    expect(await problems()).toEqual([])
    await deleteUser(application.deps, by, String(row?.id))
    expect(await problems()).toEqual([])
    await insert('bob', ', roles', `, '{admin}'`)
    expect((await problems()).join()).toMatch(
      /^the account "bob" \(\S+\) has roles, but was not created by this service$/,
    )
  })

  test('made by SQL with a role are named after a change by the service too', async () => {
    await sql(`INSERT INTO users (username, hashed_password, full_name) VALUES ('bob', '!', 'X')`)
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'bob'`)
    const [row] = await sql(`SELECT id::text FROM users WHERE username = 'bob'`)
    await resetPassword(application.deps, by, String(row?.id), { password: 'a password of his own' })
    await sequencer.run()
    expect((await problems()).join()).toMatch(/^\d+: shows that the account "bob" \(\S+\) had been changed outside/)
  })

  test('are not named once their state is accepted', async () => {
    const { id } = await create('alice')
    const bob = await create('bob')
    await sql(`UPDATE users SET roles = '{editor}' WHERE username = 'alice'`)
    await changeUser(application.deps, by, id, { is_active: false })
    await sql(`DELETE FROM users WHERE username = 'bob'`)
    expect(await problems()).toHaveLength(2)
    expect(await acceptAccount(application.deps, 'test', 'alice')).toMatchObject({
      roles: ['editor'],
      is_active: false,
    })
    expect(await acceptAccount(application.deps, 'test', bob.id)).toEqual({ id: bob.id })
    expect(await problems()).toEqual([])
    await sequencer.run()
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    expect(await problems()).toHaveLength(1)
  })

  test('accept: rejects unknown names and IDs', async () => {
    const attempt = (name: string) => acceptAccount(application.deps, 'test', name).catch((error: unknown) => error)
    expect(await attempt('unknown')).toMatchObject({ code: 'not_found' })
    expect(await attempt('11111111-1111-4111-8111-111111111111')).toMatchObject({ code: 'not_found' })
  })

  test('are covered by a baseline that SQL cannot widen', async () => {
    await sql(`INSERT INTO users (username, hashed_password, full_name, roles) VALUES ('bob', '!', 'X', '{admin}')`)
    await sql('UPDATE audittrail_audit_accounts SET is_complete = false, baseline_after = NULL')
    await recordBaseline(application.deps, () => false)
    await sequencer.run()
    expect(await problems()).toHaveLength(1)
    await sql('UPDATE audittrail_audit_accounts SET salt = sha256(salt)')
    expect(await problems()).toEqual([
      'the salt of account states is missing or changed, so no account was checked; restore the table audittrail_audit_accounts from a backup',
    ])
  })

  test('that sign in and are rehashed have no findings', async () => {
    await create('alice')
    await sql(
      `UPDATE users SET hashed_password = '$2b$04$abcdefghijklmnopqrstuuMHBT3Yn3lF2bU5CyFUKv8/UhA3wXG9C' WHERE false`,
    )
    expect((await login('alice')).status).toBe(200)
    expect(await problems()).toEqual([])
  })
})

describe('the baseline of accounts', () => {
  test('covers the accounts of a database that was there before, in parts', async () => {
    const application = await openTestApplication('PostgreSQL')
    const { deps } = application
    const sequencer = createSequencer(deps, true)
    await application.sql(`
      INSERT INTO users (username, hashed_password, full_name, roles)
      SELECT 'user' || n, '!', 'X', '{editor}' FROM generate_series(1, 200) AS n`)
    expect(await problemsOf(application)).toEqual([])
    expect(await notesOf(application)).toEqual(['200 accounts are not covered: the log has no state for them'])
    await Promise.all([recordBaseline(deps, () => false), recordBaseline(deps, () => false)])
    await sequencer.run()
    expect(await notesOf(application)).toEqual([])
    const records = await application.sql(`SELECT leaf FROM audittrail_audit_events WHERE type = 'audit.baseline'`)
    expect(records.map(({ leaf }) => JSON.parse(String(leaf)).facts.accounts.length)).toEqual([50, 50, 50, 50, 1])
    await application.sql(`UPDATE users SET roles = '{}' WHERE username = 'user7'`)
    expect(await problemsOf(application)).toHaveLength(1)
    await application.close()
  })
})
