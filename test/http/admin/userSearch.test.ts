import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts } from '../accounts.ts'

const names: Readonly<Record<string, string>> = {
  'ada.l': 'Ada Augusta Lovelace',
  Grace_h: "Grace O'Brien-Hopper",
  'jean-luc': 'Jean-Luc Picard',
  zoe: 'Zoé Ångström',
  li: '李 小龍',
  percent: '100% Real',
  backslash: 'C:\\Users Back',
  tab: 'Tab\tSeparated',
  quote: `D'Arcy "Q" & Co: (x|y)`,
  long: `${'x'.repeat(90)} Endname`,
}

describe.each(databaseKinds)('user search on %s', (kind) => {
  let application: TestApplication
  let token: string
  const { json, makeAdministrator } = createAccounts(() => application)
  beforeAll(async () => {
    application = await openTestApplication(kind)
    token = (await makeAdministrator()).token
    await application.sql("DELETE FROM users WHERE username = 'admin'")
    for (const [username, name] of Object.entries(names))
      await application.sql(
        `INSERT INTO users (username, hashed_password, full_name) VALUES ('${username}', '!', '${name.replaceAll("'", "''")}')`,
      )
  })
  afterAll(() => application.close())

  const find = async (text: string): Promise<string[]> => {
    const response = await json('GET', `/users?q=${encodeURIComponent(text)}`, token)
    expect(response.status).toBe(200)
    const { items } = (await response.json()) as { items: { username: string }[] }
    return items.map(({ username }) => username).filter((username) => username in names)
  }

  test.each([
    ['ada.l', 'ada.l'],
    ['ADA', 'ada.l'],
    ['lovelace', 'ada.l'],
    ['Augusta L', 'ada.l'],
    ['  ada ', 'ada.l'],
    ['grace_', 'Grace_h'],
    ["o'b", 'Grace_h'],
    ['brien', 'Grace_h'],
    ['hop', 'Grace_h'],
    ["O'Brien-Hop", 'Grace_h'],
    ['luc', 'jean-luc'],
    ['luc pic', 'jean-luc'],
    ['Ångst', 'zoe'],
    ['小', 'li'],
    ['100%', 'percent'],
    ['c:\\u', 'backslash'],
    ['c:\\users b', 'backslash'],
    ['100% r', 'percent'],
    ['sep', 'tab'],
    ['co: (x|', 'quote'],
    ['x|y', 'quote'],
    ['q" & co', 'quote'],
    ['endn', 'long'],
  ])('finds the start of a username or of a word: %j', async (text, username) => {
    expect(await find(text)).toContain(username)
  })

  test.each([
    'da',
    'velace',
    'ada l',
    'ada  augusta',
    'a%',
    '%',
    '_',
    'ad_',
    '\\',
    'ada\\',
    'grace%',
    "'",
    "ada' | 'grace",
    'ada:*',
    'ada & grace',
    'ada | grace',
    '!ada',
    'ada.*',
    '.*',
    '***:.*',
    '(?i)ada',
    '^ada',
    '[a-z]',
    '100_',
    'luc-jean',
    '$1',
    '}{',
  ])('takes every character literally: %j', async (text) => {
    expect(await find(text)).toEqual([])
  })

  test('pages through what it finds by username', async () => {
    for (const number of [1, 2, 3])
      await application.sql(
        `INSERT INTO users (username, hashed_password, full_name) VALUES ('many${number}', '!', 'Of Many')`,
      )
    const first = await (await json('GET', '/users?q=many&limit=2', token)).json()
    expect(first).toMatchObject({ items: [{ username: 'many1' }, { username: 'many2' }] })
    const { next } = first as { next: string }
    const second = await json('GET', `/users?q=many&limit=2&after=${encodeURIComponent(next)}`, token)
    expect(await second.json()).toMatchObject({ items: [{ username: 'many3' }], next: null })
  })
})

describe('user search on a large table', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
    // In parts, since no statement may take more than a few seconds.
    for (let part = 0; part < 5; part++)
      await application.sql(`INSERT INTO users (username, hashed_password, full_name)
        SELECT 'user' || n, '!', 'Given' || n || ' Family' || n FROM generate_series(${part * 4000 + 1}, ${part * 4000 + 4000}) n`)
    await application.sql('ANALYZE users')
  })
  afterAll(() => application.close())

  test('uses the index of words', async () => {
    const before = await indexScans()
    const found = await application.deps.database.users.listUsers({ after: undefined, limit: 5, search: 'family777' })
    expect(found.map(({ username }) => username)).toEqual(['user777', 'user7770', 'user7771', 'user7772', 'user7773'])
    await application.sql('SELECT pg_stat_force_next_flush()')
    const after = await indexScans()
    expect(after.users_full_name_words).toBeGreaterThan(before.users_full_name_words ?? 0)
  })

  async function indexScans(): Promise<Record<string, number>> {
    const rows = await application.sql(`
      SELECT indexrelname AS name, idx_scan::int AS scans FROM pg_stat_user_indexes WHERE relname = 'users'`)
    return Object.fromEntries(rows.map(({ name, scans }) => [String(name), Number(scans)]))
  }

  test('finds parts of names where pg_trgm is installed', async () => {
    const search = async () =>
      (await application.deps.database.users.listUsers({ after: undefined, limit: 3, search: 'ily777' })).length
    expect(await search()).toBe(0)
    await application.sql('CREATE EXTENSION pg_trgm')
    expect(await search()).toBe(3)
  })
})

test('the list of users has the last sign-in that only an older version has recorded', async () => {
  const application = await openTestApplication('PostgreSQL')
  await application.sql(`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
    SELECT gen_random_uuid(), id, '2026-01-31T08:00:00Z', now(), now() FROM users`)
  const [user] = await application.deps.database.users.listUsers({ after: undefined, limit: 1, search: undefined })
  expect(user?.last_sign_in_at).toEqual(new Date('2026-01-31T08:00:00Z'))
  await application.close()
})
