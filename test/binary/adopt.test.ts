import { describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { hashByPwdlib } from '../domain/hashes/formats.ts'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, run } from './binary.ts'

const secretKey = { SECRET_KEY: 'k'.repeat(32) }

const table = `CREATE TABLE users (id uuid PRIMARY KEY, username varchar(32) NOT NULL UNIQUE, hashed_password varchar(255) NOT NULL,
  full_name varchar(100) NOT NULL, is_active boolean NOT NULL, email text)`
const add = (username: string, hash: string) =>
  `INSERT INTO users VALUES (gen_random_uuid(), '${username}', '${hash}', 'Someone', true)`

async function databaseWith(...statements: string[]) {
  const url = await createDatabase()
  const client = postgres(url, { max: 1, onnotice: () => {} })
  for (const statement of statements) await client.unsafe(statement)
  await client.end()
  return { environment: { DATABASE_URL: url, ...secretKey }, url }
}

describe('adopt --check', () => {
  test('reports users, hashes and columns, exits 0, and leaves everything to migrate', async () => {
    const { environment } = await databaseWith(
      table,
      add('ada', hashByPwdlib),
      add('bob', '5f4dcc3b5aa765d61d8327deb882cf99'),
      add('eve', '!'),
      'CREATE TABLE alembic_version (version_num text)',
    )
    const directory = emptyDirectory()
    const { code, stdout, stderr } = await run(['adopt', '--check'], { environment, directory })
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toContain('Found: the table public.users with 3 users, owned by postgres.\n')
    expect(stdout).toContain('Adds the columns: roles, must_change_password, created_at.\n')
    expect(stdout).toContain('Widens the columns: username character varying(32) to varchar(50).\n')
    expect(stdout).toContain('Leaves the columns: email.\n')
    expect(stdout).toContain(
      'Password hashes: 1 can be verified, 2 cannot.\n  1: hexadecimal MD5 or similar\n  1: no password\n',
    )
    expect(stdout).toContain('Note: Alembic manages this database.')
    expect(stdout).toEndWith('Adoptable: nothing is in the way. Run "audittrail migrate".\n')

    expect((await run(['migrate'], { environment })).stdout).toStartWith('Adopted 3 users and created the other tables')
    const again = await run(['adopt', '--check'], { environment })
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('AuditTrail already uses this database.') })
  })

  test('lists every problem with its SQL, exits 1, and speaks JSON', async () => {
    const { environment } = await databaseWith(
      table,
      add('ada', hashByPwdlib),
      add('ADA', hashByPwdlib),
      'CREATE VIEW names AS SELECT username FROM users',
    )
    const { code, stdout } = await run(['adopt', '--check'], { environment })
    expect(code).toBe(1)
    expect(stdout).toContain('Problem 1: the view public.names depends on the column username')
    expect(stdout).toContain(
      '    DROP VIEW public.names;\n  SQL to run after "audittrail migrate":\n    CREATE VIEW public.names AS',
    )
    expect(stdout).toContain('Problem 2: the usernames "ADA" and ada differ only in case')
    expect(stdout).toContain('    UPDATE public.users AS repeated SET username = ')
    expect(stdout).toContain('Blocked by 2 problems.')
    const json = await run(['adopt', '--check', '--json'], { environment })
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({
      state: 'adoptable',
      table: { users: 2 },
      verifiable: 2,
      blockers: [{}, {}],
    })
    const refused = await run(['migrate'], { environment })
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('There is 1 more problem.')
    expect(refused.stderr.trim().split('\n')).toHaveLength(1)
  })

  test('without --check or DATABASE_URL is a usage error', async () => {
    const { environment } = await databaseWith()
    expect(await run(['adopt'], { environment })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Add --check'),
    })
    expect(await run(['adopt', '--check'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('DATABASE_URL is not set'),
    })
  })
})

describe('a start on a changed database', () => {
  test.each([
    ['a dropped table', 'DROP TABLE audittrail_sessions', 'The schema was changed: audittrail_sessions is missing'],
    ['a dropped column', 'ALTER TABLE users DROP full_name', 'The schema was changed: users.full_name is missing'],
  ])('with %s ends with one line that names it', async (_what, change, message) => {
    const { environment, url } = await databaseWith()
    await run(['migrate'], { environment })
    const client = postgres(url, { max: 1, onnotice: () => {} })
    await client.unsafe(change)
    await client.end()
    for (const args of [[], ['user', 'list'], ['migrate']]) {
      const { code, stderr } = await run(args, { environment: { ...environment, PORT: '0' } })
      expect(code).toBe(1)
      expect(stderr).toStartWith(`audittrail: ${message}`)
      expect(stderr.trim().split('\n')).toHaveLength(1)
    }
  })

  test('warns of privileges that the role lacks, with the GRANT', async () => {
    const { environment, url } = await databaseWith()
    await run(['seed'], { environment })
    const role = `r${crypto.randomUUID().replaceAll('-', '')}`
    const client = postgres(url, { max: 1, onnotice: () => {} })
    await client.unsafe(`CREATE ROLE ${role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role};
      GRANT INSERT ON audittrail_instance TO ${role}`)
    const asRole = Object.assign(new URL(url), { username: role }).href
    const { stderr } = await run(['user', 'list'], { environment: { ...environment, DATABASE_URL: asRole } })
    expect(stderr).toContain('database.privileges_missing')
    expect(stderr).toContain(`GRANT INSERT, UPDATE, DELETE ON public.audittrail_api_keys`)
    await client.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    await client.end()
  })
})
