import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { partyOf } from '../../../src/domain/audit/record.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { planPruning } from '../../../src/domain/retention/planPruning.ts'
import { changeUser, deleteUser } from '../../../src/domain/users/users.ts'
import { notesOf, problemsOf } from '../auditProblems.ts'
import { type AccountLog, by, openCoveredLog } from './accountLog.ts'

describe('accounts in a pruned log', () => {
  let log: AccountLog
  beforeEach(async () => {
    log = await openCoveredLog()
  })
  afterEach(() => log.close())

  test('have the states of the pruned records, again and again', async () => {
    const { id } = await log.create('alice', ['editor'])
    await log.create('bob', ['editor'])
    await log.fill()
    expect(await log.prune()).toBe(256)
    await changeUser(log.deps, by, id, { roles: [] })
    await log.fill()
    expect(await log.prune()).toBe(512)
    await log.fill()
    expect(await log.prune()).toBe(768)
    expect(await problemsOf(log)).toEqual([])
    expect(await notesOf(log)).toEqual(['the records below 768 were pruned, and the pruning is recorded'])
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'bob'`)
    expect(await problemsOf(log)).toHaveLength(1)
  })

  test('are still named if SQL has changed them before the pruning', async () => {
    const alice = await log.create('alice', ['editor'])
    const bob = await log.create('bob', ['editor'])
    await log.sql('CREATE TABLE saved AS SELECT * FROM users')
    await deleteUser(log.deps, by, bob.id)
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    await changeUser(log.deps, by, alice.id, { is_active: false })
    await log.fill()
    await log.prune()
    await log.sql(`INSERT INTO users SELECT * FROM saved WHERE username = 'bob'`)
    expect((await problemsOf(log)).toSorted()).toEqual(
      [
        `the account "bob" (${bob.id}) was deleted by this service, but exists`,
        `shows that the account "alice" (${alice.id}) had been changed outside of this service`,
      ].toSorted(),
    )
    await log.sql(
      `INSERT INTO users (username, hashed_password, full_name, roles) VALUES ('carol', '!', 'X', '{admin}')`,
    )
    expect(await problemsOf(log)).toHaveLength(3)
  })

  test('are not judged while a pruning is planned and not carried out, or in its middle', async () => {
    await log.create('alice', ['editor'])
    await log.fill(12_000)
    const { deps } = log
    await planPruning(deps, 'test', { below: 11_000 })
    expect(await problemsOf(log)).toEqual([])
    await log.sequence()
    expect(await problemsOf(log)).toEqual([])
    let batches = 0
    await finishPruning(deps, () => batches++ > 0)
    expect(await problemsOf(log)).toEqual([])
    await finishPruning(deps)
    expect(await problemsOf(log)).toEqual([])
  })

  test('are named although SQL has undone what the database knows of the pruning', async () => {
    await log.create('alice', ['editor'])
    await log.fill()
    await log.prune()
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    await log.sql('UPDATE audittrail_audit_state SET minimum_index = 0')
    await log.sql('UPDATE audittrail_audit_accounts SET is_complete = false, baseline_after = NULL')
    await recordBaseline(log.deps, () => false)
    await log.sequence()
    expect(await problemsOf(log)).toHaveLength(1)
  })

  test('have the states of the larger one of two prunings that were planned at once', async () => {
    const { id } = await log.create('alice', ['editor'])
    await log.fill()
    await changeUser(log.deps, by, id, { roles: ['author'] })
    await log.fill(600)
    const { deps } = log
    await planPruning(deps, 'test', { below: 768 })
    await planPruning(deps, 'test', { below: 256 })
    await log.sequence()
    await finishPruning(deps)
    expect(await problemsOf(log)).toEqual([])
  })

  test('are named if someone has removed what the pruned records said', async () => {
    await log.create('alice', ['editor'])
    await log.fill()
    const { size } = await log.deps.database.audit.readHead(() => [])
    await planPruning(log.deps, 'test', { below: size })
    await log.sql(`DELETE FROM audittrail_audit_pending WHERE leaf LIKE '%"audit.baseline"%'`)
    await log.sequence()
    await finishPruning(log.deps)
    expect((await problemsOf(log)).join()).toContain('account states of the pruned records are missing')
  })

  test('are not covered after a change without a state', async () => {
    const alice = await log.create('alice', ['editor'])
    const event = {
      event: 'user.changed',
      username: 'alice',
      by: 'test',
      fields: ['roles'],
      roles: [],
      is_active: true,
    } as const
    await recordAlone(log.deps, { event, about: partyOf(alice) })
    await log.sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    const note = '1 account is not covered: the log has no state for it'
    expect(await problemsOf(log)).toEqual([])
    expect(await notesOf(log)).toEqual([note])
    await log.fill()
    await log.prune()
    expect(await problemsOf(log)).toEqual([])
    expect(await notesOf(log)).toContain(note)
  })
})
