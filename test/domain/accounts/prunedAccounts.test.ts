import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import { partyOf } from '../../../src/domain/audit/record.ts'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { planPruning } from '../../../src/domain/retention/planPruning.ts'
import { changeUser, createUser, deleteUser } from '../../../src/domain/users/users.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { notesOf, problemsOf } from '../auditProblems.ts'

const by = { name: 'test', canManageAdministrators: true }

describe('accounts in a pruned log', () => {
  let application: TestApplication
  let sequencer: Sequencer
  beforeEach(async () => {
    application = await openTestApplication('PostgreSQL')
    sequencer = createSequencer(application.deps, true)
    await recordBaseline(application.deps, () => false)
  })
  afterEach(() => application.close())

  const sql = (query: string) => application.sql(query)
  const create = async (username: string) => {
    const draft = { username, full_name: 'X', password: 'a long password of this user', roles: ['editor'] }
    return (await createUser(application.deps, by, draft)).user
  }
  const fill = async (records = 300) => {
    for (let n = 0; n < records; n++) await recordAlone(application.deps, { event: { event: 'server.alive' } })
    await sequencer.run()
  }
  const prune = async () => {
    const { deps } = application
    const { size } = await deps.database.audit.readHead(() => [])
    const planned = await planPruning(deps, 'test', { below: size })
    await sequencer.run()
    await finishPruning(deps)
    return planned
  }

  test('have the states of the pruned records, again and again', async () => {
    const { id } = await create('alice')
    await create('bob')
    await fill()
    expect(await prune()).toBe(256)
    await changeUser(application.deps, by, id, { roles: [] })
    await fill()
    expect(await prune()).toBe(512)
    await fill()
    expect(await prune()).toBe(768)
    expect(await problemsOf(application)).toEqual([])
    expect(await notesOf(application)).toEqual(['the records below 768 were pruned, and the pruning is recorded'])
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'bob'`)
    expect(await problemsOf(application)).toHaveLength(1)
  })

  test('are still named if SQL has changed them before the pruning', async () => {
    const alice = await create('alice')
    const bob = await create('bob')
    await sql('CREATE TABLE saved AS SELECT * FROM users')
    await deleteUser(application.deps, by, bob.id)
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    await changeUser(application.deps, by, alice.id, { is_active: false })
    await fill()
    await prune()
    await sql(`INSERT INTO users SELECT * FROM saved WHERE username = 'bob'`)
    expect((await problemsOf(application)).toSorted()).toEqual(
      [
        `the account "bob" (${bob.id}) was deleted by this service, but exists`,
        `shows that the account "alice" (${alice.id}) had been changed outside of this service`,
      ].toSorted(),
    )
    await sql(`INSERT INTO users (username, hashed_password, full_name, roles) VALUES ('carol', '!', 'X', '{admin}')`)
    expect(await problemsOf(application)).toHaveLength(3)
  })

  test('are not judged while a pruning is planned and not carried out, or in its middle', async () => {
    await create('alice')
    await fill(12_000)
    const { deps } = application
    await planPruning(deps, 'test', { below: 11_000 })
    expect(await problemsOf(application)).toEqual([])
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
    let batches = 0
    await finishPruning(deps, () => batches++ > 0)
    expect(await problemsOf(application)).toEqual([])
    await finishPruning(deps)
    expect(await problemsOf(application)).toEqual([])
  }, 60_000)

  test('are named although SQL has undone what the database knows of the pruning', async () => {
    await create('alice')
    await fill()
    await prune()
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    await sql('UPDATE audittrail_audit_state SET minimum_index = 0')
    await sql('UPDATE audittrail_audit_accounts SET is_complete = false, baseline_after = NULL')
    await recordBaseline(application.deps, () => false)
    await sequencer.run()
    expect(await problemsOf(application)).toHaveLength(1)
  })

  test('have the states of the larger one of two prunings that were planned at once', async () => {
    const { id } = await create('alice')
    await fill()
    await changeUser(application.deps, by, id, { roles: ['author'] })
    await fill(600)
    const { deps } = application
    await planPruning(deps, 'test', { below: 768 })
    await planPruning(deps, 'test', { below: 256 })
    await sequencer.run()
    await finishPruning(deps)
    expect(await problemsOf(application)).toEqual([])
  })

  test('are named if someone has removed what the pruned records said', async () => {
    await create('alice')
    await fill()
    const { size } = await application.deps.database.audit.readHead(() => [])
    await planPruning(application.deps, 'test', { below: size })
    await sql(`DELETE FROM audittrail_audit_pending WHERE leaf LIKE '%"audit.baseline"%'`)
    await sequencer.run()
    await finishPruning(application.deps)
    expect((await problemsOf(application)).join()).toContain(
      'states of accounts that the pruned records had are missing',
    )
  })

  test('are not covered after a change without a state', async () => {
    const alice = await create('alice')
    const event = {
      event: 'user.changed',
      username: 'alice',
      by: 'test',
      fields: ['roles'],
      roles: [],
      is_active: true,
    } as const
    await recordAlone(application.deps, { event, about: partyOf(alice) })
    await sql(`UPDATE users SET roles = '{admin}' WHERE username = 'alice'`)
    const note = '1 account is not covered: the log has no state for it'
    expect(await problemsOf(application)).toEqual([])
    expect(await notesOf(application)).toEqual([note])
    await fill()
    await prune()
    expect(await problemsOf(application)).toEqual([])
    expect(await notesOf(application)).toContain(note)
  })
})
