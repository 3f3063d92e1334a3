import { afterEach, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../application.ts'

const opened: TestApplication[] = []
afterEach(async () => {
  for (const application of opened.splice(0)) await application.close()
})

async function openChanged(kind: (typeof databaseKinds)[number], change: string): Promise<TestApplication> {
  const application = await openTestApplication(kind)
  opened.push(application)
  await application.sql(change)
  return application
}

const changes: readonly (readonly [string, string, string])[] = [
  ['a table of ours is dropped', 'DROP TABLE audittrail_sessions', '42P01: audittrail_sessions'],
  ['a table of ours is renamed', 'ALTER TABLE audittrail_attempts RENAME TO attempts', '42P01: audittrail_attempts'],
  ['users is dropped', 'DROP TABLE users CASCADE', '42P01: users'],
  ['a column of users is dropped', 'ALTER TABLE users DROP COLUMN full_name', '42703: full_name'],
  ['a column of users is renamed', 'ALTER TABLE users RENAME is_active TO enabled', '42703: is_active'],
]

describe.each(databaseKinds)('a schema changed while the server runs, on %s', (kind) => {
  test.each(changes)(
    'login: returns 503 and the failure names what is missing when %s',
    async (_what, change, found) => {
      const application = await openChanged(kind, change)
      const response = await application.login()
      expect(response.status).toBe(503)
      expect(await response.text()).not.toMatch(/schema|column|audittrail_|42P01|42703/i)
      const [line] = application.lines.filter(({ event }) => event === 'database.unavailable')
      expect(line?.detail).toContain(
        `The schema was changed: a table, column or index of AuditTrail is missing or different (${found})`,
      )
    },
    60_000,
  )
})

test('a failing trigger is not taken for a change of the schema', async () => {
  const application = await openTestApplication('PostgreSQL')
  opened.push(application)
  await application.sql(
    `CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO gone VALUES (1); RETURN NEW; END$$`,
  )
  await application.sql('CREATE TRIGGER audit BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION audit()')
  const draft = { username: 'ada', hashed_password: 'x', full_name: 'Ada', roles: [], must_change_password: false }
  const failure = await application.deps.database.users.insertUser(draft).catch((error: unknown) => error)
  expect(failure).toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('A trigger of the database fails (42P01).'),
  })
})
