import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { type Finding, type ImportOptions, importUsers } from '../../../src/domain/import/importUsers.ts'
import { exportUsers } from '../../../src/domain/users/exportUsers.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { chunksOf } from './readRecords.ts'

const hash = '$2b$04$lhN1OIp0.eAqEmRHIosIieJ8fOs1UjwatpYxAvJVaap6vEt6ZmWga'
const options: ImportOptions = {
  format: 'ndjson',
  from: undefined,
  firebase: undefined,
  isDryRun: false,
  skipsBad: false,
}

/** Rows that adoption takes: usernames, full names, hashes, roles and times. */
const rows = [
  ['Ada', 'Ada', hash, '{}', '2020-01-02 03:04:05.678901+00'],
  ['Jörg Müller', 'Jörg', hash, '{Manager,"Team Lead"}', '0001-01-01 00:00:00+00'],
  [' blanks ', ' ', hash, '{}', 'infinity'],
  ['a.very.long.address.of.somebody@department.company.example', 'Long', hash, '{}', '-infinity'],
  ['bob', 'B'.repeat(120), hash, '{}', '0044-03-15 12:00:00+00 BC'],
  ['cy', 'Cy\tTab', hash, '{}', '12345-02-28 00:00:00+00'],
  ['dee', 'a\u202eb', `$5$rounds=1000$abc$${'x'.repeat(43)}`, '{}', '2020-01-01 00:00:00+00'],
  ['eve', '', `$argon2id$v=19$m=65536,t=3,p=4$${'a'.repeat(260)}`, '{}', '2020-01-01 00:00:00+00'],
  ['🙂'.repeat(60), 'Fay', 'hunter2', '{}', '2020-01-01 00:00:00+00'],
] as const

describe.each(databaseKinds)('an export of adopted users on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  beforeEach(async () => {
    await application.sql("DELETE FROM users WHERE username <> 'admin'")
    await alterColumns('varchar(50)', 'varchar(100)', 'varchar(255)')
  })
  afterAll(() => application.close())

  const alterColumns = (username: string, fullName: string, hashed: string) =>
    application.sql(`ALTER TABLE users ALTER COLUMN username TYPE ${username},
      ALTER COLUMN full_name TYPE ${fullName}, ALTER COLUMN hashed_password TYPE ${hashed}`)

  /** Returns the lines of the users above. */
  async function exported(): Promise<string[]> {
    const lines: string[] = []
    await exportUsers(application.deps, 'test', async (users) => {
      lines.push(...users.map((user) => JSON.stringify(user)))
    })
    return lines.filter((line) => !line.includes('"admin"'))
  }
  async function exportAdopted(): Promise<string[]> {
    await alterColumns('text', 'text', 'text')
    for (const [username, fullName, stored, roles, createdAt] of rows) {
      await application.sql(`INSERT INTO users (username, full_name, hashed_password, roles, created_at)
        VALUES ('${username}', '${fullName}', '${stored}', '${roles}', '${createdAt}')`)
    }
    const lines = await exported()
    await application.sql("DELETE FROM users WHERE username <> 'admin'")
    return lines
  }
  async function importLines(lines: readonly string[], changed: Partial<ImportOptions> = {}) {
    const findings: Finding[] = []
    const source = chunksOf(lines.join('\n'))
    const report = await importUsers(application.deps, 'test', source, { ...options, ...changed }, (finding) => {
      findings.push(finding)
    })
    const texts = (which: 'errors' | 'warnings') =>
      findings.flatMap((finding) => finding[which].map((text) => `${finding.place}: ${text}`))
    return { ...report, errors: texts('errors'), warnings: texts('warnings') }
  }
  const lineOf = (lines: readonly string[], part: string) => lines.findIndex((line) => line.includes(part)) + 1

  test('is imported unchanged into columns as wide', async () => {
    const lines = await exportAdopted()
    const report = await importLines(lines)
    expect(report).toMatchObject({ good: rows.length, bad: 0, errors: [], unverifiable: 3 })
    expect(report.alterTable).toBeUndefined()
    expect(report.warnings).toEqual(
      [
        [lineOf(lines, '"dee"'), 'sha256-crypt ($5$)'],
        [lineOf(lines, '"eve"'), 'argon2 that is malformed or too costly'],
        [lineOf(lines, 'hunter2'), 'an unknown format, or a plain-text password'],
      ].map(([line, name]) => `${line}: hashed_password cannot be verified: ${name}`),
    )
    expect(await exported()).toEqual(lines)
  })

  test('lists the rows that do not fit, and the ALTER TABLE that makes room for them', async () => {
    const lines = await exportAdopted()
    await alterColumns('varchar(50)', 'varchar(100)', 'varchar(255)')
    const report = await importLines(lines)
    expect(report).toMatchObject({ bad: 4, good: 5 })
    expect(report.errors.sort()).toEqual(
      [
        `${lineOf(lines, '"bob"')}: full_name has 120 characters, and the column holds 100`,
        `${lineOf(lines, '"eve"')}: hashed_password has 291 characters, and the column holds 255`,
        `${lineOf(lines, 'a.very')}: username has 58 characters, and the column holds 50`,
        `${lineOf(lines, '🙂')}: username has 60 characters, and the column holds 50`,
      ].sort(),
    )
    expect(await exported()).toEqual([])
    await application.sql(String(report.alterTable))
    expect(await importLines(lines)).toMatchObject({ bad: 0, good: rows.length })
    expect(await exported()).toEqual(lines)
  })

  test('with --skip-bad is imported without the rows that do not fit', async () => {
    const lines = await exportAdopted()
    await alterColumns('varchar(50)', 'varchar(100)', 'text')
    expect(await importLines(lines, { skipsBad: true })).toMatchObject({ bad: 3, good: 6 })
    expect(await exported()).toHaveLength(6)
  })

  test.each([
    ['an unknown field', { extra: 1 }],
    ['an ID that is not a UUID', { id: '7' }],
    ['a time that does not exist', { created_at: '2021-02-30T00:00:00.000000Z' }],
    ['a time after the last year', { created_at: '294277-01-01T00:00:00.000000Z' }],
    ['a time in another format', { created_at: '2021-02-03T00:00:00Z' }],
    ['a NUL character', { full_name: 'a\0b' }],
    ['a lone surrogate', { full_name: '\ud800' }],
    ['a NUL character in a role', { roles: ['a\0b'] }],
    ['a lone surrogate in a hash', { hashed_password: '\udfff' }],
    ['a username that no index holds', { username: 'a'.repeat(2700) }],
    ['a role that is not text', { roles: [7] }],
  ])('with %s in a line is not taken as it is', async (_what, change) => {
    const [line = ''] = (await exportAdopted()).filter((one) => one.includes('Jörg'))
    const report = await importLines([JSON.stringify({ ...JSON.parse(line), ...change })])
    expect(report).toMatchObject({ good: 0, bad: 1 })
  })

  test('keeps the rules for lines with fewer fields, which export never writes', async () => {
    const [line = ''] = (await exportAdopted()).filter((one) => one.includes('Jörg'))
    for (const field of ['id', 'full_name', 'is_active', 'roles', 'must_change_password', 'created_at']) {
      const { [field]: _, ...fields } = JSON.parse(line)
      const { errors } = await importLines([JSON.stringify(fields)])
      expect(errors.join()).toContain('username must be 1 to 50 of the characters')
    }
  })
})
