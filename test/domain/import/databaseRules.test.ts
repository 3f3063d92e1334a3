import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { importUsers } from '../../../src/domain/import/importUsers.ts'
import type { AppError } from '../../../src/error.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { chunksOf } from './readRecords.ts'

const hashed_password = `$2b$04$${'a'.repeat(53)}`

describe.each(databaseKinds)("an import into a table with an application's own rules, on %s", (kind) => {
  let application: TestApplication
  const undo: string[] = []
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())
  afterEach(async () => {
    for (const sql of undo.splice(0).reverse()) await application.sql(sql)
    expect(await application.sql("SELECT username FROM users WHERE username <> 'admin'")).toHaveLength(0)
  })

  async function rule(sql: string, end: string): Promise<void> {
    await application.sql(sql)
    undo.push(end)
  }
  const trigger = async (when: string, body: string) => {
    await rule(`CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN ${body} END$$`, 'DROP FUNCTION rule')
    await rule(
      `CREATE TRIGGER rule BEFORE ${when} ON users FOR EACH ROW EXECUTE FUNCTION rule()`,
      'DROP TRIGGER rule ON users',
    )
  }
  async function outcome(records: readonly object[] = [{}, { username: 'bob', full_name: 'Zed' }]) {
    const lines = records.map((record) =>
      JSON.stringify({ username: 'ada', full_name: 'Ada', hashed_password, ...record }),
    )
    const options = {
      format: 'ndjson',
      from: undefined,
      firebase: undefined,
      isDryRun: false,
      skipsBad: false,
    } as const
    const { code, message } = await importUsers(
      application.deps,
      'test',
      chunksOf(lines.join('\n')),
      options,
      () => {},
    ).then(
      () => ({ code: 'imported', message: '' }),
      (error: AppError) => error,
    )
    if (code !== 'imported') expect(message).toContain('Nothing was imported.')
    expect(message).not.toContain('Zed')
    return `${code}: ${message}`
  }

  test('names the column that needs a value', async () => {
    await rule('ALTER TABLE users ADD COLUMN tenant_id integer', 'ALTER TABLE users DROP COLUMN tenant_id')
    await application.sql('UPDATE users SET tenant_id = 1')
    await application.sql('ALTER TABLE users ALTER tenant_id SET NOT NULL')
    expect(await outcome()).toMatch(/^invalid_fields: .*\btenant_id\b/)
  })

  test('names the constraint that the file violates', async () => {
    await rule(
      "ALTER TABLE users ADD CONSTRAINT no_zed CHECK (full_name <> 'Zed')",
      'ALTER TABLE users DROP CONSTRAINT no_zed',
    )
    expect(await outcome()).toMatch(/^invalid_fields: .*\bno_zed\b/)
  })

  test.each(['', 'DEFERRABLE INITIALLY DEFERRED'])('names a foreign key of users (%s)', async (when) => {
    await rule('CREATE TABLE tenants (id integer PRIMARY KEY)', 'DROP TABLE tenants')
    await rule(
      `ALTER TABLE users ADD COLUMN tenant_id integer CONSTRAINT tenant_exists REFERENCES tenants(id) ${when}`,
      'ALTER TABLE users DROP COLUMN tenant_id',
    )
    await application.sql('ALTER TABLE users ALTER tenant_id SET DEFAULT 1')
    expect(await outcome()).toMatch(/^conflict: .*\btenant_exists\b/)
  })

  test('names a unique constraint that is not about the username', async () => {
    await rule('CREATE UNIQUE INDEX one_name ON users (full_name)', 'DROP INDEX one_name')
    const message = await outcome([{}, { username: 'bob' }])
    expect(message).toMatch(/^conflict: .*\bone_name\b/)
    expect(message).not.toContain('Another change')
  })

  test.each(["RAISE EXCEPTION 'no %', NEW.full_name;", "RAISE EXCEPTION 'no' USING ERRCODE = 'UE001';"])(
    'does not repeat what a trigger says: %s',
    async (body) => {
      await trigger('INSERT', body)
      expect(await outcome()).toMatch(/^conflict: A trigger/)
    },
  )

  test('fails if a trigger discards a user', async () => {
    await trigger('INSERT', "IF NEW.username = 'bob' THEN RETURN NULL; END IF; RETURN NEW;")
    expect(await outcome()).toMatch(/^conflict: .*discarded/)
  })

  test('says that the seeded administrator cannot be replaced while other tables refer to it', async () => {
    await rule('CREATE TABLE items (owner_id uuid NOT NULL REFERENCES users(id))', 'DROP TABLE items')
    await application.sql('INSERT INTO items SELECT id FROM users')
    expect(await outcome([{ username: 'admin', roles: ['admin'] }])).toMatch(
      /^conflict: Other tables refer to this user/,
    )
  })
})
