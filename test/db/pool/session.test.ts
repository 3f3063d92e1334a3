import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../../http/accounts.ts'

/** SQL that sets a default of the database. */
const defaults = (settings: Readonly<Record<string, string>>) =>
  Object.entries(settings)
    .map(
      ([name, value]) =>
        `DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET ${name} TO %L', current_database(), '${value}'); END$$;`,
    )
    .join('\n')

describe.each([
  { DateStyle: 'German' },
  { DateStyle: 'SQL, DMY' },
  { DateStyle: 'Postgres, MDY' },
  { IntervalStyle: 'sql_standard' },
  // Its offset in 1970 has seconds, which JavaScript does not read.
  { TimeZone: 'Africa/Monrovia' },
  { default_transaction_isolation: 'repeatable read' },
  { default_transaction_isolation: 'serializable' },
  { quote_all_identifiers: 'on' },
  { standard_conforming_strings: 'off', bytea_output: 'escape', extra_float_digits: '-15', array_nulls: 'off' },
  { statement_timeout: '1ms', lock_timeout: '1ms', idle_in_transaction_session_timeout: '1ms' },
])('a database with %j', (settings) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL', { databaseSql: defaults(settings) })
  })
  afterAll(() => application.close())

  const { json, makeAdministrator, makeUser, refresh, signIn } = createAccounts(() => application)

  test('throttles the sixth failure', async () => {
    const { username } = await makeUser()
    for (let failure = 0; failure < 6; failure++) expect((await application.login(username, 'wrong')).status).toBe(401)
    expect((await application.login(username, good)).status).toBe(429)
  })

  test('lists users, sessions and lockouts', async () => {
    const { id, token } = await makeAdministrator()
    for (const path of ['/users', `/users/${id}/sessions`, '/blocks', '/api-keys'])
      expect((await json('GET', path, token)).status).toBe(200)
  })

  test('grants one refresh token presented twenty times at once', async () => {
    const { username } = await makeUser()
    const { refresh_token: token } = await signIn(username)
    const responses = await Promise.all(Array.from({ length: 20 }, () => refresh(token)))
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200))
  })

  test('accepts ten sign-outs from all devices at once', async () => {
    const { username } = await makeUser()
    const grants = await Promise.all(Array.from({ length: 10 }, () => signIn(username)))
    const responses = await Promise.all(
      grants.map(({ access_token: token }) => json('POST', '/auth/logout?all=true', token)),
    )
    expect(responses.filter(({ status }) => status !== 204 && status !== 401)).toEqual([])
  })

  test('counts twenty failures at once', async () => {
    const { username } = await makeUser()
    const responses = await Promise.all(Array.from({ length: 20 }, () => application.login(username, 'wrong')))
    expect(responses.filter(({ status }) => status !== 401 && status !== 429)).toEqual([])
  })
})
