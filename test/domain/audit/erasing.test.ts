import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSequencer, type Sequencer } from '../../../src/domain/audit/sequencer.ts'
import { erasePerson } from '../../../src/domain/retention/erasePerson.ts'
import { changeUser, createUser, deleteUser } from '../../../src/domain/users/users.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { problemsOf } from '../auditProblems.ts'

const tables = ['events', 'pending', 'nodes', 'checkpoints', 'state']
const administrator = { name: 'admin', canManageAdministrators: true }
const password = 'correct horse battery staple'

describe.each(databaseKinds)('erasing a person from the audit log on %s', (kind) => {
  let application: TestApplication
  let sequencer: Sequencer
  let id: string
  beforeEach(async () => {
    application = await openTestApplication(kind)
    sequencer = createSequencer(application.deps, true)
    id = await addUser('Carol')
  })
  afterEach(() => application.close())

  const addUser = async (username: string) => {
    const { user } = await createUser(application.deps, administrator, {
      username,
      full_name: `${username} Shaw`,
      password,
      must_change_password: false,
    })
    return user.id
  }
  const signIn = (username: string, secret: string, address = '198.51.100.23') =>
    application.call('/auth/login', {
      method: 'POST',
      body: new URLSearchParams({ username, password: secret }),
      headers: { 'user-agent': 'CarolsBrowser/1.0' },
      address,
    })
  const erase = (name: string) => erasePerson(application.deps, 'command line', name)
  const stored = async () => {
    const rows = await Promise.all(tables.map((table) => application.sql(`SELECT * FROM audittrail_audit_${table}`)))
    return JSON.stringify(rows)
  }
  const traces = async () => (await stored()).match(/carol|198\.51\.100\.23/gi) ?? []
  const events = (type: string) => application.deps.database.audit.listEvents({ type, from: 0, limit: 100 })

  test('leaves no name, address or browser, and a log that verifies', async () => {
    await signIn('Carol', password)
    await signIn('carol', 'wrong')
    await sequencer.run()
    expect(await traces()).not.toEqual([])
    expect(await erase('carol')).toEqual({ id, erased: 3, isUser: true })
    expect(await traces()).toEqual([])
    expect(await problemsOf(application)).toEqual([])
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
    const [record] = await events('audit.erased')
    expect(record).toMatchObject({ about_id: id, about_private: null })
    expect(JSON.parse(record?.leaf ?? '').facts).toEqual({ erased: 3, below: expect.any(Number) })
    expect(application.lines.find(({ event }) => event === 'audit.erased')).toMatchObject({ by: 'command line' })
  })

  test('includes pending events, which the log takes afterwards', async () => {
    await sequencer.run()
    await signIn('carol', password)
    await signIn('carol', 'wrong')
    expect(await erase(id)).toMatchObject({ erased: 3 })
    expect(await traces()).toEqual([])
    expect(await problemsOf(application)).toEqual([])
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 0 })
    expect(await problemsOf(application)).toEqual([])
  })

  test('includes sign-ins with the username of a deleted user, before and after the deletion', async () => {
    await signIn('carol', password)
    await deleteUser(application.deps, administrator, id)
    await signIn('CAROL', 'wrong')
    await sequencer.run()
    await signIn('carol', password)
    expect(await erase('carol')).toMatchObject({ id, erased: 5, isUser: false })
    expect(await traces()).toEqual([])
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
  })

  test('includes throttled sign-ins', async () => {
    for (let count = 0; count < 12; count++) await signIn('carol', 'wrong')
    await sequencer.run()
    expect((await events('login.throttled')).length).toBeGreaterThan(0)
    await erase('carol')
    expect(await traces()).toEqual([])
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
  })

  test('includes a username that only a stranger has entered', async () => {
    await signIn('carola', 'wrong', '203.0.113.9')
    await sequencer.run()
    await signIn('carola', 'wrong', '203.0.113.9')
    expect(await erase('Carola')).toEqual({ id: null, erased: 2, isUser: false })
    expect(await stored()).not.toContain('203.0.113.9')
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([])
    expect(await erase('carola').catch((error: unknown) => error)).toMatchObject({ code: 'not_found' })
  })

  test('keeps the texts of everyone else', async () => {
    const by = { kind: 'user', id: crypto.randomUUID(), username: 'dave' } as const
    await changeUser({ ...application.deps, source: { by } }, administrator, id, { is_active: false })
    await sequencer.run()
    await erase(id)
    await sequencer.run()
    const [disabled] = await events('user.disabled')
    expect(disabled?.by_private).toContain('"username":"dave"')
    expect(disabled?.about_private).toBeNull()
    expect(await problemsOf(application)).toEqual([])
  })

  test('asks for an id if several users had the name', async () => {
    await deleteUser(application.deps, administrator, id)
    const second = await addUser('carol')
    expect(await erase('carol').catch((error: unknown) => error)).toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(new RegExp(`${second}.*${id}|${id}.*${second}`)),
    })
    expect(await erase(second)).toMatchObject({ id: second, erased: 1, isUser: true })
    expect(await erase('CAROL').catch((error: unknown) => error)).toMatchObject({ code: 'conflict' })
    expect(await erase(id)).toMatchObject({ id, isUser: false })
    expect(await erase('CAROL')).toMatchObject({ id: second, erased: 0 })
    expect(await traces()).toEqual([])
  })

  test('records nothing if there is nothing to erase', async () => {
    expect(await erase('ffffffff-ffff-4fff-8fff-ffffffffffff').catch((error: unknown) => error)).toMatchObject({
      code: 'not_found',
    })
    await erase(id)
    await erase(id)
    await sequencer.run()
    expect(await events('audit.erased')).toHaveLength(1)
  })

  test('differs from texts that are removed by SQL, which verification names', async () => {
    await signIn('carol', password)
    await sequencer.run()
    const remove = `UPDATE audittrail_audit_events SET by_private = NULL, about_private = NULL WHERE`
    await application.sql(`${remove} type = 'login.succeeded'`)
    const [{ index } = { index: -1 }] = await events('login.succeeded')
    expect(await problemsOf(application)).toEqual([`${index}: had its by_private removed`])
    const other = await addUser('dave')
    await sequencer.run()
    await erase(other)
    await sequencer.run()
    expect(await problemsOf(application)).toEqual([`${index}: had its by_private removed`])
    await signIn('dave', password)
    await sequencer.run()
    await application.sql(`${remove} by_id = '${other}'`)
    expect(await problemsOf(application)).toHaveLength(2)
  })

  test('differs from a text that is removed from a pending event, which stays out of the log', async () => {
    await sequencer.run()
    await signIn('carol', password)
    await application.sql('UPDATE audittrail_audit_pending SET by_private = NULL')
    await sequencer.run()
    expect(sequencer.state()).toMatchObject({ pending: 0, refused: 1 })
    expect(await problemsOf(application)).toEqual([expect.stringMatching(/was not written by this service$/)])
  })

  test('is undone if its record cannot be written', async () => {
    await signIn('carol', password)
    await sequencer.run()
    await application.sql('ALTER TABLE audittrail_audit_pending ADD CHECK (leaf NOT LIKE $$%audit.erased%$$)')
    expect(await erase(id).catch((error: unknown) => error)).toBeInstanceOf(Error)
    expect(await traces()).not.toEqual([])
    expect(await problemsOf(application)).toEqual([])
  })
})
