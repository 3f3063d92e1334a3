import { expect, test } from 'bun:test'
import { resolve } from 'node:path'
import { databaseLabel } from '../../src/config/databaseLabel.ts'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'

test.each([
  ['postgresql+asyncpg://app:s3cret@db.example:6432/auth?sslmode=require', 'postgresql://app@db.example:6432/auth'],
  ['postgres://app:s3cret@[::1]/auth', 'postgresql://app@[::1]:5432/auth'],
  ['postgres://app@h/auth?password=s3cret', 'postgresql://app@h:5432/auth'],
  ['postgresql://a%40b:s3cret@h/a%20b', 'postgresql://a%40b@h:5432/a%20b'],
  ['postgres://app:s3cret@h1:1,[::1],%2Frun:3/auth', 'postgresql://app@h1:1,[::1]:5432,%2Frun:3/auth'],
  ['postgres://app:s3cret@h1/auth?hostaddr=192.0.2.1', 'postgresql://app@h1(192.0.2.1):5432/auth'],
  ['postgresql:///auth?host=/run/postgresql&user=app', 'postgresql://app@/auth?host=/run/postgresql'],
])('the label of %s has no password', (url, label) => {
  expect(databaseLabel({ databaseUrl: parseDatabaseUrl(url), dataDir: './data' })).toBe(label)
})

test('the label of the embedded database is its whole path', () => {
  expect(databaseLabel({ databaseUrl: undefined, dataDir: './data' })).toBe(`embedded in ${resolve('data')}`)
})
