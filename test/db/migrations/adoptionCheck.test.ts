import { describe, expect, test } from 'bun:test'
import { hashByPwdlib } from '../../domain/hashes/formats.ts'
import { closeAfterEach, failureOf, inspect, openWith, problemsOf } from './adoptable.ts'
import { ada, blockingRows, columns, dependents, loose, rows, shapes, tableWith } from './adoptionCases.ts'

closeAfterEach()

describe('adopt --check', () => {
  test.each([...shapes, ...blockingRows, ...dependents])(
    'finds %s, as migrate does, and its SQL removes the problem',
    async (_what, statements, problem) => {
      const { database, run } = await openWith(...statements)
      const found = await inspect(database)
      expect(problemsOf(found)).toMatch(problem)
      const failure = await failureOf(database.migrate())
      expect(failure).toMatchObject({ code: 'refused' })
      expect(failure.message).toContain(found.blockers[0]?.problem ?? '?')
      for (const { sql } of found.blockers) for (const statement of sql) await run(statement)
      expect(problemsOf(await inspect(database))).toBe('')
      expect(await database.migrate()).toMatchObject({ isNew: true })
      for (const { afterwards = [] } of found.blockers) for (const statement of afterwards) await run(statement)
      expect(problemsOf(await inspect(database))).toBe('')
    },
  )

  test.each([
    ['a view', 'CREATE VIEW active AS SELECT id, username, created_at FROM users WHERE is_active'],
    ['a materialized view', 'CREATE MATERIALIZED VIEW active AS SELECT created_at FROM users'],
    ['a policy', "CREATE POLICY recent ON users USING (created_at > '2020-01-01')"],
    ['a generated column', 'ALTER TABLE users ADD day date GENERATED ALWAYS AS (created_at::date) STORED'],
    ['an index', 'CREATE INDEX ON users ((created_at::date))'],
    [
      'a trigger',
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
      CREATE TRIGGER stamped BEFORE UPDATE OF created_at ON users FOR EACH ROW EXECUTE FUNCTION f()`,
    ],
  ])('a naive created_at stays, with %s on it, and is read and written as UTC', async (_what, dependent) => {
    const { database, run } = await openWith(
      `SET TimeZone = 'Asia/Tokyo'`,
      tableWith((text) => `${text}, created_at timestamp DEFAULT now()`),
      rows,
      `UPDATE users SET created_at = '2020-01-02 03:04:05.678901'`,
      dependent,
    )
    expect((await inspect(database)).blockers).toEqual([])
    expect(await database.migrate()).toEqual({ applied: expect.any(Number), adopted: 2, isNew: true })
    const [column] = await run(`SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute
      WHERE attrelid = 'users'::regclass AND attname = 'created_at'`)
    expect(column?.type).toBe('timestamp without time zone')
    expect((await database.users.findUser(ada))?.created_at.toISOString()).toBe('2020-01-02T03:04:05.678Z')
    const draft = { username: 'eve', hashed_password: 'x', full_name: 'Eve', roles: [], must_change_password: false }
    const made = await database.users.insertUser(draft)
    expect(Math.abs(made.created_at.getTime() - Date.now())).toBeLessThan(60_000)
    const exported: string[] = []
    await database.userTransfer.eachPage(async (users) => {
      exported.push(...users.map(({ created_at }) => created_at))
    })
    expect(exported[0]).toBe('2020-01-02T03:04:05.678901Z')
  })

  test('keeps the primary key of another column, and makes the id unique', async () => {
    const { database } = await openWith(
      tableWith((text) => text.replace('id uuid PRIMARY KEY', 'number serial PRIMARY KEY, id uuid NOT NULL')),
      rows,
    )
    expect(await database.migrate()).toMatchObject({ adopted: 2 })
  })

  test('says in an empty database where users are', async () => {
    const { database } = await openWith('CREATE SCHEMA app', tableWith().replace('users', 'app.users'))
    expect(await inspect(database)).toMatchObject({
      state: 'empty',
      blockers: [],
      notes: [expect.stringContaining('set options=-csearch_path%3Dapp in DATABASE_URL')],
    })
    expect((await database.migrate()).note).toContain('set options=-csearch_path%3Dapp in DATABASE_URL')
  })

  test.each([
    ['a view', 'CREATE TABLE people (id int); CREATE VIEW users AS SELECT * FROM people', 'it is a view'],
    [
      'a partitioned table',
      `CREATE TABLE users (${columns.replace(' PRIMARY KEY', '').replace(' UNIQUE', '')}) PARTITION BY HASH (id)`,
      'it is a partitioned table',
    ],
    [
      'another type of id',
      tableWith((text) => text.replace('id uuid', 'id serial')),
      'its column id is of type integer',
    ],
  ])('finds %s, which takes a decision', async (_what, statement, problem) => {
    const { database } = await openWith(statement)
    expect(problemsOf(await inspect(database))).toContain(problem)
    expect((await failureOf(database.migrate())).message).toContain(problem)
  })

  test('names the step that PostgreSQL rejects for a reason it did not foresee', async () => {
    const { database } = await openWith(
      loose('full_name'),
      rows,
      `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN RAISE 'secret %', NEW.username; END$$`,
      'CREATE TRIGGER no BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION no()',
      'ALTER TABLE users ADD roles text[]',
    )
    const failure = await failureOf(database.migrate())
    expect(failure).toMatchObject({ code: 'refused' })
    expect(failure.message).toContain('(SQLSTATE P0001), so nothing was changed: UPDATE users SET roles = DEFAULT')
    expect(failure.message).not.toContain('secret')
  })

  test('changes nothing and takes no lock that keeps a writer from working', async () => {
    const { database, run } = await openWith(tableWith(), rows)
    await run('BEGIN')
    await run(`UPDATE users SET full_name = 'Ada Lovelace' WHERE id = '${ada}'`)
    const hashes: string[] = []
    const found = await database.inspect((page) => hashes.push(...page))
    expect(found).toMatchObject({ state: 'adoptable', blockers: [], table: { name: 'public.users', users: 2 } })
    expect(hashes).toEqual([hashByPwdlib, hashByPwdlib])
    await run('COMMIT')
    expect(await run(`SELECT relname FROM pg_class WHERE relname LIKE 'audittrail%'`)).toHaveLength(0)
  })
})
