import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts } from '../accounts.ts'

describe.each(databaseKinds)('a page of users on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const { json, makeAdministrator } = createAccounts(() => application)

  test('returns every user once, sorted by username', async () => {
    const { token } = await makeAdministrator()
    const seen: string[] = []
    for (let after: string | null = ''; after !== null; ) {
      const path = `/users?limit=7${after ? `&after=${encodeURIComponent(after)}` : ''}`
      const page = (await (await json('GET', path, token)).json()) as {
        items: { username: string }[]
        next: string | null
      }
      expect(page.items.length).toBeLessThanOrEqual(7)
      seen.push(...page.items.map(({ username }) => username.toLowerCase()))
      after = page.next
    }
    const rows = await application.sql('SELECT lower(username) AS name FROM users ORDER BY lower(username COLLATE "C")')
    expect(seen).toEqual(rows.map(({ name }) => String(name)))
  })

  test('continues after non-ASCII usernames of another program', async () => {
    const { token } = await makeAdministrator()
    await application.sql(`INSERT INTO users (username, hashed_password, full_name)
        SELECT name, 'x', 'Foreign' FROM unnest(ARRAY['Ärger', 'Éa', 'Özil', 'Über', 'ér', '${'😀'.repeat(50)}']) name`)
    const seen: string[] = []
    for (let after: string | null = ''; after !== null; ) {
      const path = `/users?q=Foreign&limit=1${after ? `&after=${encodeURIComponent(after)}` : ''}`
      const page = (await (await json('GET', path, token)).json()) as {
        items: { username: string }[]
        next: string | null
      }
      seen.push(...page.items.map(({ username }) => username))
      after = page.next
    }
    expect(seen).toHaveLength(6)
    expect(new Set(seen).size).toBe(6)
    await application.sql(`DELETE FROM users WHERE full_name = 'Foreign'`)
  })

  test.each([
    ['/users?after=AA', 422],
    ['/users?after=_w', 422],
    ['/users?q=a%00b', 400],
    ['/users?limit=0', 422],
    ['/users?limit=101', 422],
    ['/users/urn:uuid:2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52', 404],
  ])('for %s returns %p', async (path, status) => {
    const { token } = await makeAdministrator()
    expect((await json('GET', path, token)).status).toBe(status)
  })
})

describe('a page of 100,000 users', () => {
  test('is read from the index, also at the end of 100,000 users', async () => {
    const application = await openTestApplication('PostgreSQL')
    // In parts, since no statement may take more than a few seconds.
    for (let part = 0; part < 40; part++)
      await application.sql(`INSERT INTO users (username, hashed_password, full_name)
        SELECT 'user' || lpad(i::text, 6, '0'), 'x', 'U' FROM generate_series(${part * 2500 + 1}, ${part * 2500 + 2500}) i`)
    await application.sql('ANALYZE users')
    for (const after of ['user000001', 'user099900']) {
      const plan =
        await application.sql(`EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM users WHERE lower(username COLLATE "C") > '${after}'
        ORDER BY lower(username COLLATE "C") LIMIT 51`)
      const text = JSON.stringify(plan)
      expect(text).toContain('users_username_lower_unique')
      expect(text).not.toContain('Seq Scan')
    }
    const page = await application.deps.database.users.listUsers({ after: 'user099990', limit: 51, search: undefined })
    expect(page.map(({ username }) => username)).toHaveLength(10)
    await application.close()
  })
})
