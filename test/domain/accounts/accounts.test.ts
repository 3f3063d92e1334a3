import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { acceptAccount } from '../../../src/domain/accountVerification/accept.ts'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { changeUser, deleteUser, resetPassword } from '../../../src/domain/users/users.ts'
import { notesOf, problemsOf } from '../auditProblems.ts'
import { type AccountLog, by, openAccountLog, openCoveredLog, password } from './accountLog.ts'

describe('accounts in the audit log', () => {
  let log: AccountLog
  beforeEach(async () => {
    log = await openCoveredLog()
  })
  afterEach(() => log.close())

  const problems = () => problemsOf(log)

  test('have no findings after any change by the service, pending or in the log', async () => {
    const { deps } = log
    const { id } = await log.create('alice', ['editor'])
    await changeUser(deps, by, id, { roles: ['admin', 'editor'] })
    await changeUser(deps, by, id, { is_active: false })
    await resetPassword(deps, by, id, { password: 'another password of hers' })
    await log.create('bob')
    await deleteUser(deps, by, (await log.create('carol')).id)
    expect(await problems()).toEqual([])
    await log.sequence()
    expect(await problems()).toEqual([])
    expect(await notesOf(log)).toEqual([])
  })

  test('are named if SQL has granted a role', async () => {
    const { id } = await log.create('alice')
    await log.sequence()
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    expect(await problems()).toEqual([`the account "alice" (${id}) had its roles changed outside of this service`])
  })

  test.each([
    [`hashed_password = (SELECT hashed_password FROM users WHERE username = 'admin')`],
    ['is_active = false'],
    ['must_change_password = false'],
    [`username = 'alice2'`],
  ])('are named if SQL has set %s', async (change) => {
    await log.create('alice')
    await log.sql(`UPDATE users SET ${change} WHERE username = 'alice'`)
    expect((await problems()).join()).toMatch(
      /^the account "alice2?" \(\S+\) had its password, username or status changed/,
    )
  })

  test('are named if SQL has granted a role, and a change by the service followed', async () => {
    const { id } = await log.create('alice')
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    await changeUser(log.deps, by, id, { is_active: false })
    await log.sequence()
    expect((await problems()).join()).toMatch(/^\d+: shows that the account "alice" \(\S+\) had been changed outside/)
    await log.sql(`UPDATE users SET roles = '{}' WHERE username = 'alice'`)
    expect(await problems()).toHaveLength(2)
  })

  test('are named if SQL has deleted them, or restored a deleted one', async () => {
    const alice = await log.create('alice')
    const bob = await log.create('bob')
    await log.sql('CREATE TABLE saved AS SELECT * FROM users')
    await deleteUser(log.deps, by, bob.id)
    await log.sql(`DELETE FROM users WHERE username = 'alice'`)
    await log.sql(`INSERT INTO users SELECT * FROM saved WHERE username = 'bob'`)
    expect((await problems()).toSorted()).toEqual(
      [
        `the account "bob" (${bob.id}) was deleted by this service, but exists`,
        `the account ${alice.id} was deleted outside of this service`,
      ].toSorted(),
    )
  })

  test('may be made by SQL without roles', async () => {
    const insert = (name: string, columns = '', values = '') =>
      log.sql(
        `INSERT INTO users (username, hashed_password, full_name ${columns}) VALUES ('${name}', '!', 'X' ${values})`,
      )
    await insert('alice')
    expect(await problems()).toEqual([])
    expect(await notesOf(log)).toEqual(['1 account made by SQL is not covered until this service changes it'])
    const [row] = await log.sql(`SELECT id::text FROM users WHERE username = 'alice'`)
    await changeUser(log.deps, by, String(row?.id), { roles: ['editor'] })
    expect(await problems()).toEqual([])
    await deleteUser(log.deps, by, String(row?.id))
    expect(await problems()).toEqual([])
    await insert('bob', ', roles', `, '{admin}'`)
    expect((await problems()).join()).toMatch(
      /^the account "bob" \(\S+\) has roles, but was not created by this service$/,
    )
  })

  test('made by SQL with a role are named after a change by the service too', async () => {
    await log.sql(`INSERT INTO users (username, hashed_password, full_name) VALUES ('bob', '!', 'X')`)
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'bob'`)
    const [row] = await log.sql(`SELECT id::text FROM users WHERE username = 'bob'`)
    await resetPassword(log.deps, by, String(row?.id), { password: 'a password of his own' })
    await log.sequence()
    expect((await problems()).join()).toMatch(/^\d+: shows that the account "bob" \(\S+\) had been changed outside/)
  })

  test('are not named once their state is accepted', async () => {
    const { id } = await log.create('alice')
    const bob = await log.create('bob')
    await log.sql(`UPDATE users SET roles = '{editor}' WHERE username = 'alice'`)
    await changeUser(log.deps, by, id, { is_active: false })
    await log.sql(`DELETE FROM users WHERE username = 'bob'`)
    expect(await problems()).toHaveLength(2)
    expect(await acceptAccount(log.deps, 'test', 'alice')).toMatchObject({
      roles: ['editor'],
      is_active: false,
    })
    expect(await acceptAccount(log.deps, 'test', bob.id)).toEqual({ id: bob.id })
    expect(await problems()).toEqual([])
    await log.sequence()
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    expect(await problems()).toHaveLength(1)
  })

  test('accept: rejects unknown names and IDs', async () => {
    const attempt = (name: string) => acceptAccount(log.deps, 'test', name).catch((error: unknown) => error)
    expect(await attempt('unknown')).toMatchObject({ code: 'not_found' })
    expect(await attempt('11111111-1111-4111-8111-111111111111')).toMatchObject({ code: 'not_found' })
  })

  test('are covered by a baseline that SQL cannot widen', async () => {
    await log.sql(`INSERT INTO users (username, hashed_password, full_name, roles) VALUES ('bob', '!', 'X', '{admin}')`)
    await log.sql('UPDATE audittrail_audit_accounts SET is_complete = false, baseline_after = NULL')
    await recordBaseline(log.deps, () => false)
    await log.sequence()
    expect(await problems()).toHaveLength(1)
    await log.sql('UPDATE audittrail_audit_accounts SET salt = sha256(salt)')
    expect(await problems()).toEqual([
      'the salt of account states is missing or changed, so no account was checked; restore the table audittrail_audit_accounts from a backup',
    ])
  })

  test('are covered and have no findings after a sign-in that replaces their hash', async () => {
    const hash = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
    await log.sql(`INSERT INTO users (username, hashed_password, full_name) VALUES ('alice', '${hash}', 'X')`)
    expect(await notesOf(log)).toHaveLength(1)
    expect((await log.login('alice', password)).status).toBe(200)
    const [row] = await log.sql(`SELECT hashed_password FROM users WHERE username = 'alice'`)
    expect(row?.hashed_password).toStartWith('$argon2id$')
    expect(await problems()).toEqual([])
    expect(await notesOf(log)).toEqual([])
  })
})

describe('the baseline of accounts', () => {
  test('covers the accounts of a database that was there before, in parts', async () => {
    const log = await openAccountLog()
    const { deps } = log
    await log.sql(`
      INSERT INTO users (username, hashed_password, full_name, roles)
      SELECT 'user' || n, '!', 'X', '{editor}' FROM generate_series(1, 200) AS n`)
    expect(await problemsOf(log)).toEqual([])
    expect(await notesOf(log)).toEqual(['200 accounts are not covered: the log has no state for them'])
    await Promise.all([recordBaseline(deps, () => false), recordBaseline(deps, () => false)])
    await log.sequence()
    expect(await notesOf(log)).toEqual([])
    const records = await log.sql(`SELECT leaf FROM audittrail_audit_events WHERE type = 'audit.baseline'`)
    expect(records.map(({ leaf }) => JSON.parse(String(leaf)).facts.accounts.length)).toEqual([50, 50, 50, 50, 1])
    await log.sql(`UPDATE users SET roles = '{}' WHERE username = 'user7'`)
    expect(await problemsOf(log)).toHaveLength(1)
    await log.close()
  })
})
