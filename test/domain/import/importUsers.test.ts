import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { Fields } from '../../../src/domain/import/importedUser.ts'
import { type Finding, type ImportOptions, importUsers } from '../../../src/domain/import/importUsers.ts'
import { exportUsers } from '../../../src/domain/users/exportUsers.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { chunksOf } from './readRecords.ts'

const hash = `$2b$04$${'a'.repeat(53)}`
const defaults: ImportOptions = {
  format: 'ndjson',
  from: undefined,
  firebase: undefined,
  isDryRun: false,
  skipsBad: false,
}

describe.each(databaseKinds)('importUsers on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  beforeEach(async () => {
    await application.sql("DELETE FROM users WHERE username <> 'admin'")
  })
  afterAll(() => application.close())

  const importText = async (text: string | Uint8Array, options: Partial<ImportOptions> = {}) => {
    const bad: Finding[] = []
    const report = await importUsers(application.deps, 'test', chunksOf(text), { ...defaults, ...options }, (one) => {
      bad.push(one)
    })
    return { ...report, errors: bad.map(({ place, errors }) => `${place}: ${errors.join('; ')}`) }
  }
  const importLines = (lines: readonly Fields[], options: Partial<ImportOptions> = {}) =>
    importText(lines.map((line) => JSON.stringify(line)).join('\n'), options)
  const names = async () =>
    (await application.sql("SELECT username FROM users WHERE username <> 'admin' ORDER BY 1")).map(
      (row) => row.username,
    )

  test('imports every field, with deerrors for missing ones', async () => {
    const id = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
    const report = await importLines([
      {
        id: id.toUpperCase(),
        username: 'Ada',
        full_name: 'Ada Lovelace',
        hashed_password: hash,
        is_active: false,
        roles: ['billing', 'admin', 'billing'],
        must_change_password: true,
        created_at: '2020-02-29 23:59:59.123456+02',
      },
      { username: 'bob', password_hash: hash },
      { username: 'carl', hashed_password: null },
    ])
    expect(report).toEqual({
      good: 3,
      bad: 0,
      passedOver: 0,
      withoutPassword: 1,
      unverifiable: 0,
      administrators: 1,
      errors: [],
    })
    const [ada, bob, carl] = await application.sql(
      `SELECT id, username, full_name, hashed_password, is_active, to_json(roles)::text AS roles, must_change_password,
       created_at = '2020-02-29 21:59:59.123456Z' AS is_old FROM users WHERE username <> 'admin' ORDER BY lower(username)`,
    )
    expect(ada).toEqual({
      id,
      username: 'Ada',
      full_name: 'Ada Lovelace',
      hashed_password: hash,
      is_active: false,
      roles: '["billing","admin"]',
      must_change_password: true,
      is_old: true,
    })
    expect(bob).toMatchObject({
      full_name: 'bob',
      is_active: true,
      roles: '[]',
      must_change_password: false,
      is_old: false,
    })
    expect(carl).toMatchObject({ hashed_password: '!' })
    expect((await application.login('carl', '!')).status).toBe(401)
    expect(application.lines.findLast(({ event }) => event === 'users.imported')).toMatchObject({
      by: 'test',
      imported: 3,
      skipped: 0,
    })
  })

  test('imports nothing if one record is bad, and reports all bad ones', async () => {
    const report = await importLines([
      { username: 'ada', hashed_password: hash },
      { username: 'bad name', hashed_password: hash },
      { username: 'ADMIN', hashed_password: hash },
      { username: 'ADA', hashed_password: hash },
      { username: 'x', hashed_password: hash, id: 7, is_active: 'perhaps', created_at: '2021-02-30', roles: ['Admin'] },
      { hashed_password: hash },
      { username: 'y' },
      { username: 'z', hashed_password: '$1$x$y', password: 'secret', pasword: 1 },
      { username: 'f', full_name: 'a\u202eb', hashed_password: hash },
      { username: 'g', full_name: '\ud800', hashed_password: hash },
    ])
    expect(report).toMatchObject({ good: 1, bad: 9 })
    expect(report.errors).toEqual([
      '2: username must be 1 to 50 of the characters A-Z a-z 0-9 . _ @ + -',
      '3: username already belongs to a user in the database',
      '4: username is the same as that of line 1',
      '5: id must be a UUID; is_active must be true or false; created_at must be a date and time in ISO 8601; roles must have at most 32 entries, each 1 to 32 of the characters a-z 0-9 _ -',
      '6: has no username',
      '7: has no hashed_password',
      expect.stringContaining('8: has a plain-text password, which is not accepted'),
      '9: full_name must be 1 to 100 characters on one line',
      '10: full_name is not valid Unicode',
    ])
    expect(report.errors.join()).not.toContain('secret')
    expect(await names()).toEqual([])
  })

  test('accepts every time that PostgreSQL can store and export, and reports others', async () => {
    const times = ['2020-01-01T24:00', '0001-01-01', '9999-12-31T23:59:59.999999Z', '2020-01-01 00:00:00+1559']
    const none = ['2020-01-01T00:00+16', '2020-01-01T00:00-23:59', '0001-01-01T00:00+01', '9999-12-31T23:59:59-01']
    const report = await importLines(
      [...times, ...none].map((created_at, at) => ({ username: `u${at}`, hashed_password: hash, created_at })),
      { skipsBad: true },
    )
    expect(report).toMatchObject({ good: 4, bad: 4 })
    expect(report.errors).toEqual([5, 6, 7, 8].map((line) => `${line}: created_at must be a date and time in ISO 8601`))
  })

  test('rejects a null or empty is_active, which other tables read as inactive', async () => {
    const error = 'is_active must be true or false'
    const lines = [{ username: 'ada', hashed_password: hash, is_active: null }]
    expect(await importLines(lines)).toMatchObject({ good: 0, errors: [`1: ${error}`] })
    const row = { model: 'auth.user', fields: { username: 'ada', password: hash, is_active: null } }
    expect(await importLines([row], { from: 'django' })).toMatchObject({ good: 0, errors: [`1: ${error}`] })
    const csv = `username,hashed_password,is_active\nada,${hash},\nbob,${hash},t\n`
    expect(await importText(csv, { format: 'csv' })).toMatchObject({ good: 1, errors: [`2: ${error}`] })
  })

  test('names three unknown fields and counts the rest', async () => {
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`f${at}`, at]))
    const { errors } = await importLines([{ username: 'ada', hashed_password: hash, ...many }])
    expect(errors).toEqual([
      '1: has an unknown field "f0"; has an unknown field "f1"; has an unknown field "f2"; has 49,997 more unknown fields',
    ])
    const last = await importLines([{ username: 'ada', hashed_password: hash, a: 1, b: 1, c: 1, password: 'secret' }])
    expect(last.errors.join()).toContain('a plain-text password')
  })

  test('with skipsBad, imports the rest and the first of two users of one name', async () => {
    const lines = [
      { username: 'ada', full_name: 'First', hashed_password: hash },
      { username: 'Ada', full_name: 'Second', hashed_password: hash },
      { username: 'bob', hashed_password: 'hunter2' },
    ]
    expect(await importLines(lines, { skipsBad: true })).toMatchObject({ good: 1, bad: 2 })
    expect(await application.sql("SELECT full_name FROM users WHERE username = 'ada'")).toHaveLength(1)
  })

  test('tells a duplicate ID from a duplicate username', async () => {
    const id = crypto.randomUUID()
    await importLines([{ id, username: 'ada', hashed_password: hash }])
    const report = await importLines([
      { id, username: 'bob', hashed_password: hash },
      { id: '11111111-1111-4111-8111-111111111111', username: 'carl', hashed_password: hash },
      { id: '11111111-1111-4111-8111-111111111111', username: 'dora', hashed_password: hash },
    ])
    expect(report.errors).toEqual([
      '1: id already belongs to a user in the database',
      '3: id is the same as that of line 2',
    ])
  })

  test('changes nothing in a dry run', async () => {
    expect(await importLines([{ username: 'ada', hashed_password: hash }], { isDryRun: true })).toMatchObject({
      good: 1,
    })
    expect(await names()).toEqual([])
  })

  test('imports nothing if reading the file fails', async () => {
    async function* breaking() {
      yield Buffer.from(`${JSON.stringify({ username: 'ada', hashed_password: hash })}\n`)
      throw new Error('the disk is gone')
    }
    const importing = importUsers(application.deps, 'test', breaking(), { ...defaults, skipsBad: true }, () => {})
    expect(importing).rejects.toThrow('could not be read to its end')
    await importing.catch(() => {})
    expect(await names()).toEqual([])
    expect(await importLines([{ username: 'ada', hashed_password: hash }])).toMatchObject({ good: 1 })
  })

  test('finds duplicates across batches', async () => {
    const lines = Array.from({ length: 2500 }, (_, at) => ({ username: `user${at % 2400}`, hashed_password: hash }))
    const report = await importLines(lines, { skipsBad: true })
    expect(report).toMatchObject({ good: 2400, bad: 100 })
    expect(report.errors[0]).toBe('2401: username is the same as that of line 1')
    expect(await names()).toHaveLength(2400)
  })

  test('restores an export unchanged', async () => {
    const lines = Array.from({ length: 1500 }, (_, at) => ({
      username: `User${at}`,
      full_name: `"${at}", née\u00e9`,
      hashed_password: hash,
      roles: at % 2 ? ['a', 'b-c'] : [],
      is_active: at % 3 > 0,
    }))
    await importLines(lines)
    const first = await exported()
    expect(first.split('\n')).toHaveLength(1502)
    await application.sql("DELETE FROM users WHERE username <> 'admin'")
    const users = first.split('\n').filter((line) => !line.includes('"admin"'))
    expect(await importText(users.join('\n'))).toMatchObject({ good: 1500, bad: 0 })
    expect(await exported()).toBe(first)
  })

  const exported = async () => {
    let text = ''
    await exportUsers(application.deps, 'test', async (users) => {
      text += users.map((user) => `${JSON.stringify(user)}\n`).join('')
    })
    return text
  }
})

describe.each(databaseKinds)('importUsers on a new database (%s)', (kind) => {
  test('replaces the seeded administrator, who has not chosen a password, by an active administrator of the same name', async () => {
    const application = await openTestApplication(kind)
    const line = (fields: Fields) => JSON.stringify({ username: 'Admin', hashed_password: hash, ...fields })
    const importAdmin = (fields: Fields) =>
      importUsers(application.deps, 'test', chunksOf(line(fields)), defaults, () => {}).then(({ bad }) => bad)
    // Any other user would leave the database without an administrator who can sign in.
    expect(await importAdmin({})).toBe(1)
    expect(await importAdmin({ roles: ['admin'], is_active: false })).toBe(1)
    expect(await importAdmin({ roles: ['admin'] })).toBe(0)
    expect(await application.sql('SELECT username, hashed_password FROM users')).toEqual([
      { username: 'Admin', hashed_password: hash },
    ])
    expect(await importAdmin({ roles: ['admin'] })).toBe(1)
    await application.close()
  })
})
