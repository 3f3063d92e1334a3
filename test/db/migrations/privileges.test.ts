import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEnd, closeAfterEach, failureOf, inspect, openAs, openWith, problemsOf } from './adoptable.ts'
import { rows, tableWith } from './adoptionCases.ts'

closeAfterEach()

/** Creates a role and returns its name and the same database as that role. */
async function openAsRole(...statements: readonly string[]) {
  const owner = await openWith(...statements)
  const role = `r${crypto.randomUUID().replaceAll('-', '')}`
  await owner.run(`CREATE ROLE ${role} LOGIN`)
  atEnd(() => owner.run(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`))
  const url = new URL(owner.url)
  url.username = role
  return {
    ...owner,
    owner: owner.database,
    role,
    urlOf: (options = '') => `${url.href}?options=${options}`,
    database: openAs(url.href),
  }
}

const withoutCreate = 'REVOKE CREATE ON SCHEMA public FROM PUBLIC'
const hidden = 'REVOKE ALL ON SCHEMA public FROM PUBLIC'

describe('privileges to migrate', () => {
  test.each([
    ['no CREATE on the schema', [withoutCreate], 'may not create tables in the schema public'],
    ['no USAGE of the schema', [hidden], 'may not use the schema public'],
    [
      'a table of another role',
      ['GRANT CREATE ON SCHEMA public TO PUBLIC', tableWith(), rows],
      'belongs to the role postgres',
    ],
    ['no schema', ['DROP SCHEMA public'], 'no schema of the search path exists'],
  ])('with %s, the printed SQL is enough', async (_what, statements, problem) => {
    const { database, run } = await openAsRole(...statements)
    const found = await inspect(database)
    expect(problemsOf(found)).toContain(problem)
    const { message } = await failureOf(database.migrate())
    expect(message).toContain(problem)
    expect(message).toMatch(/ Database: postgresql:\/\/r\w+@\S+\/audittrail_test_\w+\.$/)
    for (const { sql } of found.blockers) for (const statement of sql) await run(statement)
    expect(problemsOf(await inspect(database))).toBe('')
    expect(await database.migrate()).toMatchObject({ isNew: true })
  })

  test('with a search path of a missing schema, the printed SQL creates it', async () => {
    const { run, urlOf, role } = await openAsRole()
    const database = openAs(urlOf('-csearch_path%3Dauth'))
    const found = await inspect(database)
    expect(found.blockers).toEqual([
      { problem: 'no schema of the search path exists (auth)', sql: [`CREATE SCHEMA auth AUTHORIZATION ${role};`] },
    ])
    expect(await failureOf(database.migrate())).toMatchObject({
      code: 'refused',
      message: expect.stringContaining('CREATE SCHEMA auth'),
    })
    await run(String(found.blockers[0]?.sql[0]))
    expect(await database.migrate()).toMatchObject({ isNew: true })
  })

  test('with row-level security on users, the printed policy is enough', async () => {
    const { database, run, role } = await openAsRole('GRANT CREATE ON SCHEMA public TO PUBLIC', tableWith(), rows)
    await run(
      `ALTER TABLE users OWNER TO ${role}; ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY`,
    )
    const found = await inspect(database)
    expect(problemsOf(found)).toContain('row-level security hides all rows of public.users')
    expect((await failureOf(database.migrate())).message).toContain('row-level security')
    for (const { sql } of found.blockers) for (const statement of sql) await run(statement)
    expect(await database.migrate()).toMatchObject({ adopted: 2 })
  })
})

describe('privileges to run', () => {
  test('a role without them gets the GRANTs, and they are enough', async () => {
    const { database, owner, run, role } = await openAsRole()
    await owner.migrate()
    await run(`GRANT SELECT ON audittrail_migrations TO ${role}`)
    await run(`REVOKE TEMPORARY ON DATABASE ${await nameOf(run)} FROM PUBLIC`)
    const { grants, importGrants, missing } = await database.checkSchema()
    expect(missing).toEqual([])
    for (const statement of [...grants, ...importGrants]) await run(statement)
    expect(await database.checkSchema()).toMatchObject({ grants: [], importGrants: [], filtered: [] })
    expect(await inspect(database)).toMatchObject({ state: 'migrated', blockers: [] })
  })

  test('the documented GRANTs are enough', async () => {
    const { database, owner, run, role } = await openAsRole(hidden)
    await owner.migrate()
    const text = readFileSync(join(import.meta.dir, '../../../docs/install.md'), 'utf8')
    const [, block = ''] = /## PostgreSQL privileges[\s\S]*?```sql\n([\s\S]*?)```/.exec(text) ?? []
    await run(
      block.replaceAll('TO audittrail;', `TO ${role};`).replace('DATABASE app', `DATABASE ${await nameOf(run)}`),
    )
    expect(await database.checkSchema()).toMatchObject({ missing: [], grants: [], filtered: [] })
  })

  test('an import without TEMPORARY on the database says so', async () => {
    const { database, owner, run, role } = await openAsRole()
    await owner.migrate()
    await run(`REVOKE TEMPORARY ON DATABASE ${await nameOf(run)} FROM PUBLIC`)
    await run(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`)
    const failure = await failureOf(database.userTransfer.withStaging(async () => {}))
    expect(failure).toMatchObject({
      code: 'refused',
      message: expect.stringContaining('lacks the privilege TEMPORARY on the database'),
    })
  })

  test.each([
    ['SELECT ON users', /lacks a privilege on the table users \(42501\)/],
    ['SELECT ON audittrail_sessions', /lacks a privilege on the table audittrail_sessions \(42501\)/],
  ])('a role whose %s was revoked while it runs is told which table', async (privilege, message) => {
    const { database, owner, run, role } = await openAsRole()
    await owner.migrate()
    await run(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`)
    await run(`REVOKE ${privilege} FROM ${role}`)
    const failure = await failureOf(database.users.listUsers({ after: undefined, limit: 1, search: undefined }))
    expect(failure.message).toMatch(message)
  })

  test('a policy for some rows is reported, and one for all rows is not', async () => {
    const { database, owner, run, role } = await openAsRole()
    await owner.migrate()
    await run(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`)
    await run(`ALTER TABLE users ENABLE ROW LEVEL SECURITY`)
    expect((await database.checkSchema()).filtered).toMatchObject([{ name: 'public.users', isHidden: true }])
    await run('CREATE POLICY own ON users USING (username = current_user)')
    expect((await database.checkSchema()).filtered).toMatchObject([{ isHidden: false }])
    await run('DROP POLICY own ON users')
    await run(`CREATE POLICY audittrail ON users TO ${role} USING (true) WITH CHECK (true)`)
    expect((await database.checkSchema()).filtered).toEqual([])
  })

  test.each([
    ['a table', 'DROP TABLE audittrail_services CASCADE', ['audittrail_services']],
    ['columns', 'ALTER TABLE users DROP roles CASCADE, DROP full_name', ['users.full_name', 'users.roles']],
  ])('%s dropped before the start is named', async (_what, change, missing) => {
    const { owner, run } = await openAsRole()
    await owner.migrate()
    await run(change)
    expect([...(await owner.checkSchema()).missing].sort()).toEqual(missing)
    expect(problemsOf(await inspect(owner))).toContain('the schema was changed')
  })
})

async function nameOf(run: (statement: string) => Promise<readonly Record<string, unknown>[]>): Promise<string> {
  return String((await run('SELECT current_database() AS name'))[0]?.name)
}
