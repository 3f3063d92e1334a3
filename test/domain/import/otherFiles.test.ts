import { describe, expect, test } from 'bun:test'
import { gzipSync } from 'node:zlib'
import { nativeFields } from '../../../src/domain/import/importedUser.ts'
import { refuseOtherProgram } from '../../../src/domain/import/sources.ts'
import { read } from './readRecords.ts'

const line = '{"username":"ada","hashed_password":"!"}\n'
const csv = 'username,hashed_password,roles\n'

function utf16BigEndian(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16()
}

describe('a file that is not what it should be is rejected with one error:', () => {
  test.each([
    ['UTF-16 with a byte order mark', Buffer.from(`\ufeff${line.repeat(3)}`, 'utf16le'), 'in UTF-16'],
    ['UTF-16 without a byte order mark', Buffer.from(line.repeat(3), 'utf16le'), 'in UTF-16'],
    ['big-endian UTF-16', utf16BigEndian(`\ufeff${line.repeat(3)}`), 'in UTF-16'],
    ['big-endian UTF-16 without a byte order mark', utf16BigEndian(line.repeat(3)), 'in UTF-16'],
    ['gzip', gzipSync(line), 'compressed'],
    ['a spreadsheet or ZIP file', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.from('\x14\n\n\n')]), 'spreadsheet'],
    ['zstd', Bun.zstdCompressSync(Buffer.from(line)), 'compressed'],
    ['a dump of PostgreSQL', Buffer.from('PGDMP\x01\n\n'), 'pg_dump'],
    ['SQLite', Buffer.from('SQLite format 3\0\n\n'), 'SQLite'],
  ])('%s', async (_what, file, message) => {
    for (const format of ['ndjson', 'csv', 'json'] as const) {
      for (const chunk of [1, 1000]) expect(read(file, format, chunk)).rejects.toThrow(message)
    }
  })

  test.each([
    ['a JSON array', '[\n  {"username":"ada"},\n  {"username":"bob"}\n]\n', '--format json'],
    ['a JSON array on one line', '[{"username":"ada"},{"username":"bob"}]', '--format json'],
    ['an indented JSON object', '\n{\n  "users": [\n  ]\n}\n', '--format json'],
    ['CSV', 'username,hashed_password\nada,!\nbob,!\n', '--format csv'],
    ['quoted CSV with semicolons', '"id";"username"\n"1";"ada"\n', '--format csv'],
  ])('%s as NDJSON', async (_what, file, message) => {
    for (const chunk of [1, 1000]) expect(read(file, 'ndjson', chunk)).rejects.toThrow(message)
  })

  test.each([
    ['semicolons', 'username;hashed_password;roles\nada;!;a\nbob;!;\n', 'semicolons'],
    ['quoted columns with semicolons', '"username";"hashed_password"\n"ada";"!"\n', 'semicolons'],
    ['tabs', 'username\thashed_password\nada\t!\nbob\t!\n', 'tabs'],
    ['bars', 'username|hashed_password\nada|!\n', 'bars'],
    ['semicolons below a header with commas', `${csv}ada;!;a\nbob;!;\n`, 'semicolons'],
    ['quoted fields with semicolons below a header with commas', `${csv}"ada";"!";"a"\n"bob";"!";""\n`, 'semicolons'],
    ['tabs below a header with commas', `${csv}ada\t!\ta\nbob\t!\t\n`, 'tabs'],
    ["Excel's line about the separator", 'sep=;\nusername;hashed_password\nada;!\n', 'semicolons'],
  ])('CSV with %s', async (_what, file, message) => {
    for (const chunk of [1, 1000]) expect(read(file, 'csv', chunk)).rejects.toThrow(`with ${message}`)
  })
})

describe('an export of another program without --from', () => {
  test.each([
    ['django', { model: 'auth.user', pk: 1, fields: { username: 'ada' } }],
    ['keycloak', { id: 'x', username: 'ada', enabled: true, credentials: [] }],
    ['firebase', { localId: 'x', email: 'ada@example.org' }],
    ['auth0', { email: 'ada@example.org', email_verified: true, passwordHash: '$2b$10$x' }],
  ])('of %s is rejected with an error that names it', (source, user) => {
    expect(() => refuseOtherProgram(user)).toThrow(`Add --from ${source}.`)
  })

  test('is not what a user of ours is taken for', () => {
    const fields = Object.fromEntries([...nativeFields, 'password', 'email', 'user'].map((name) => [name, 'x']))
    expect(() => refuseOtherProgram(fields)).not.toThrow()
  })
})

describe('readRecords: CSV', () => {
  test('reads \\N as a missing value, as PostgreSQL and MySQL write NULL', async () => {
    const text = 'username,full_name,hashed_password,is_active,roles\nada,\\N,\\N,t,\\N\nbob,Bob,!,\\N,\n'
    expect(await read(text, 'csv')).toEqual([
      '2: {"username":"ada","hashed_password":"","is_active":"t"}',
      '3: {"username":"bob","full_name":"Bob","hashed_password":"!","is_active":""}',
    ])
  })

  test('reports a later line with semicolons by itself', async () => {
    expect(await read(`${csv}ada,!,a\nbob;!;a\n`, 'csv')).toEqual([
      '2: {"username":"ada","hashed_password":"!","roles":"a"}',
      '3: has 1 fields, but the header names 3 columns',
    ])
  })
})
