import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { audited } from '../../../src/domain/audit/audited.ts'
import { parseLeaf } from '../../../src/domain/audit/leaf.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import { verifyLog } from '../../../src/domain/auditVerification/verify.ts'
import { importUsers } from '../../../src/domain/import/importUsers.ts'
import { exportUsers } from '../../../src/domain/users/exportUsers.ts'
import { changeUser } from '../../../src/domain/users/users.ts'
import { AppError } from '../../../src/error.ts'
import { databaseKinds, hashOf, openTestApplication, type TestApplication } from '../../application.ts'

const actor = { name: 'test', canManageAdministrators: true }

describe.each(databaseKinds)('the audit log on %s', (kind) => {
  let application: TestApplication
  beforeEach(async () => {
    application = await openTestApplication(kind)
  })
  afterEach(() => application.close())

  const sequence = () => createSequencer(application.deps, true).run()
  /** Returns the types of the records about a user. */
  const typesAbout = async (id: string | undefined) => {
    await sequence()
    const records = await application.deps.database.audit.listEvents({ from: 0, limit: 1000 })
    return records.filter(({ about_id }) => about_id === id).map(({ type }) => type)
  }
  const idOf = async (username: string) =>
    String((await application.sql(`SELECT id::text AS id FROM users WHERE username = '${username}'`))[0]?.id)
  const importLines = async (...users: readonly object[]) => {
    const hashed_password = await hashOf('correct horse battery staple')
    const lines = users.map((user) => JSON.stringify({ hashed_password, ...user }))
    const options = {
      format: 'ndjson',
      from: undefined,
      firebase: undefined,
      isDryRun: false,
      skipsBad: false,
    } as const
    return importUsers(application.deps, 'test', chunksOf(lines.join('\n')), options, () => {})
  }
  const exported = async (take: () => Promise<void>) =>
    exportUsers(application.deps, 'test', take).then(
      () => 'exported',
      ({ code }: AppError) => code,
    )

  test('names a grant of roles, whatever else changes with it', async () => {
    await importLines({ username: 'carol' })
    const id = await idOf('carol')
    await changeUser(application.deps, actor, id, { roles: ['admin'], is_active: true, full_name: 'Carol' })
    expect(await typesAbout(id)).toEqual(['user.roles_changed'])
    await changeUser(application.deps, actor, id, { is_active: false, full_name: 'C.' })
    expect(await typesAbout(id)).toEqual(['user.roles_changed', 'user.disabled'])
  })

  test('has no record of a change to the values that a user has, and names only the fields that differ', async () => {
    await importLines({ username: 'carol', full_name: 'Carol', roles: ['a', 'b'] })
    const id = await idOf('carol')
    const same = { full_name: 'Carol', roles: ['b', 'a', 'b'], is_active: true }
    await changeUser(application.deps, actor, id, same)
    await changeUser(application.deps, actor, id, { roles: ['a', 'b'] })
    await changeUser(application.deps, actor, id, { is_active: true })
    expect(await typesAbout(id)).toEqual([])
    await changeUser(application.deps, actor, id, { ...same, is_active: false })
    await changeUser(application.deps, actor, id, { ...same, is_active: false })
    await changeUser(application.deps, actor, id, { full_name: 'C.', roles: ['a', 'b'], is_active: false })
    await changeUser(application.deps, actor, id, { full_name: 'C.', roles: ['a'], is_active: false })
    expect(await typesAbout(id)).toEqual(['user.disabled', 'user.changed', 'user.roles_changed'])
    const lines = application.lines.filter(({ event }) => event === 'user.changed')
    expect(lines.map(({ fields }) => fields)).toEqual([['is_active'], ['full_name'], ['roles']])
  })

  test('has a record of a change that only ends sessions of a user disabled by SQL', async () => {
    const hashed_password = await hashOf('correct horse battery staple')
    await importLines({ username: 'carol', hashed_password })
    const id = await idOf('carol')
    await application.accessToken('carol', 'correct horse battery staple')
    await application.sql(`UPDATE users SET is_active = false WHERE username = 'carol'`)
    await changeUser(application.deps, actor, id, { is_active: false })
    await changeUser(application.deps, actor, id, { is_active: false })
    expect((await typesAbout(id)).filter((type) => type.startsWith('user.'))).toEqual(['user.disabled'])
  })

  test('has the id of the first administrator', async () => {
    expect(await typesAbout(await idOf('admin'))).toEqual(['administrator.seeded'])
  })

  test('has a record of each imported administrator, and of the one that was replaced', async () => {
    const seeded = await idOf('admin')
    await importLines(
      { username: 'Admin', roles: ['admin'] },
      { username: 'dave' },
      { username: 'erin', roles: ['x', 'admin'] },
    )
    expect(await typesAbout(await idOf('Admin'))).toEqual(['user.imported'])
    expect(await typesAbout(await idOf('erin'))).toEqual(['user.imported'])
    expect(await typesAbout(await idOf('dave'))).toEqual([])
    expect(await typesAbout(seeded)).toEqual(['administrator.seeded', 'user.deleted'])
    const { database, audit } = application.deps
    expect(await verifyLog({ database, keys: audit.keys }, () => {})).toMatchObject({ findings: 0, pending: 0 })
    expect(application.lines.filter(({ event }) => event === 'user.imported')).toHaveLength(2)
  })

  test('has a record of an export before the first user is out', async () => {
    let types: unknown[] = []
    await exported(async () => {
      if (kind === 'PostgreSQL') types = await pendingTypes()
    })
    expect(await pendingTypes()).toEqual(expect.arrayContaining(['users.export_started', 'users.exported']))
    if (kind === 'PostgreSQL') expect(types).toContain('users.export_started')
    await application.sql('ALTER TABLE audittrail_audit_pending ADD CONSTRAINT full_disk CHECK (n < 0) NOT VALID')
    let pages = 0
    expect(await exported(async () => void pages++)).not.toBe('exported')
    expect(pages).toBe(0)
  })

  const pendingTypes = async () =>
    (await application.sql('SELECT leaf FROM audittrail_audit_pending')).map(
      ({ leaf }) => parseLeaf(String(leaf))?.type,
    )

  test('rolls back a change that ends after its caller was told that it failed', async () => {
    const { database } = application.deps
    const before = await pendingTypes()
    const gate = Promise.withResolvers<void>()
    let late: Promise<unknown> = Promise.resolve()
    const slow: typeof database.withEvents = (change, eventsOf, changeKind) => {
      const waiting: typeof change = async (statements) => {
        await gate.promise
        return change(statements)
      }
      late = database.withEvents(waiting, eventsOf, changeKind).catch((error: AppError) => error.code)
      return Promise.reject(new AppError('unavailable', 'The database did not respond in time.'))
    }
    const change = audited(
      { ...application.deps, database: { ...database, withEvents: slow } },
      ({ users }) =>
        users.insertUser({
          username: 'late',
          full_name: '',
          hashed_password: 'x',
          roles: [],
          must_change_password: false,
        }),
      ({ username }) => [{ event: { event: 'user.created', username, by: 'test', roles: [] } }],
    )
    expect(await change.catch(({ code }: AppError) => code)).toBe('unavailable' as never)
    gate.resolve()
    expect(await late).toBe('unavailable')
    expect(await application.sql(`SELECT FROM users WHERE username = 'late'`)).toHaveLength(0)
    expect(await pendingTypes()).toEqual(before)
  })
})

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text)
}
