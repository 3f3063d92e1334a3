import { afterEach, describe, expect, test } from 'bun:test'
import journal from '../../../drizzle/meta/_journal.json'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { type Database, openDatabase } from '../../../src/db/database.ts'
import type { Client } from '../../../src/db/pool/connection.ts'
import { openPool, type Pool } from '../../../src/db/pool/pool.ts'
import type { AppError } from '../../../src/error.ts'
import { databaseKinds, openTarget } from '../../application.ts'
import { hashByPwdlib } from '../../domain/hashes/formats.ts'
import { createDatabase } from '../../postgresql.ts'

/** The number of migrations. */
const all = journal.entries.length

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Opened {
  readonly database: Database
  readonly connection: DirectConnection
}

function openAt(url: string): Opened {
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize: 2 })
  const database = openDatabase(pool)
  closing.push(() => database.close())
  return { database, connection: connectDirectly(pool) }
}

type Rows = Promise<readonly Record<string, unknown>[]>

interface DirectConnection {
  readonly client: ((text: TemplateStringsArray, ...values: string[]) => Rows) & { unsafe(text: string): Rows }
}

/** Runs SQL on the pool's own connections: the embedded database accepts no others. */
function connectDirectly(pool: Pool): DirectConnection {
  const run = (query: (client: Client) => Rows): Rows =>
    pool.run(async ({ client }) => query(client)).catch((error: AppError) => Promise.reject(error.cause ?? error))
  const client = (text: TemplateStringsArray, ...values: string[]): Rows => run((own) => own(text, ...values))
  return { client: Object.assign(client, { unsafe: (text: string): Rows => run((own) => own.unsafe(text)) }) }
}

/** Returns the columns, defaults, constraints and indexes of `users` from the catalog. */
async function shapeOfUsers({ connection: { client } }: Opened) {
  const columns = await client`
    SELECT column_name, format_type(atttypid, atttypmod) AS type, is_nullable, column_default
    FROM information_schema.columns JOIN pg_attribute ON attrelid = 'users'::regclass AND attname = column_name
    WHERE table_name = 'users' ORDER BY column_name`
  return columns.map((row) => ({ ...row }))
}

async function uniqueIndexesOfUsers({ connection: { client } }: Opened): Promise<string[]> {
  const rows = await client`SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index
    WHERE indrelid = 'users'::regclass AND indisunique`
  return rows.map((row) => String(row.definition).replace(/^.* USING /, '')).sort()
}

describe.each(databaseKinds)('migrate on %s', (kind) => {
  test('creates everything on an empty database, and nothing the second time', async () => {
    const { target, release } = await openTarget(kind)
    const pool = openPool(target)
    const connection = connectDirectly(pool)
    const database = openDatabase(pool)
    closing.push(release, () => database.close())
    expect(await database.migrationStatus()).toEqual({ applied: 0, pending: all, newer: 0 })
    expect(await database.migrate()).toEqual({ applied: all, adopted: undefined, isNew: true })
    expect(await database.migrate()).toEqual({ applied: 0, adopted: undefined, isNew: false })
    expect(await database.migrationStatus()).toEqual({ applied: all, pending: 0, newer: 0 })
    const tables = await connection.client`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`
    const audit = ['accounts', 'checkpoints', 'events', 'nodes', 'pending', 'state', 'witnesses'].map(
      (name) => `audit_${name}`,
    )
    const others = ['instance', 'keys', 'migrations', 'services', 'sessions', 'sign_ins']
    const names = ['api_keys', 'attempts', ...audit, ...others]
    expect(tables.map((row) => row.tablename)).toEqual([...names.map((name) => `audittrail_${name}`), 'users'])

    await connection.client`INSERT INTO users(username, hashed_password, full_name) VALUES ('ada', 'x', 'Ada')`
    const [user] = await connection.client`SELECT is_active, roles::text, must_change_password FROM users`
    expect({ ...user }).toEqual({ is_active: true, roles: '{}', must_change_password: false })
    const twin = connection.client`INSERT INTO users(username, hashed_password, full_name) VALUES ('ADA', 'x', 'Ada')`
    expect(await twin.catch((error: { code: string }) => error.code)).toBe('23505')
  }, 60_000)
})

describe('migrate', () => {
  test('runs once when many processes start at the same time', async () => {
    const url = await createDatabase()
    const reports = await Promise.all(Array.from({ length: 8 }, () => openAt(url).database.migrate()))
    expect(reports.filter(({ applied }) => applied > 0)).toHaveLength(1)
  })

  test('shares a database with another program that uses Drizzle', async () => {
    const opened = openAt(await createDatabase())
    const { client } = opened.connection
    await client`CREATE SCHEMA drizzle`
    await client`CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)`
    await client`INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('theirs', 9999999999999)`
    expect(await opened.database.migrate()).toEqual({ applied: all, adopted: undefined, isNew: true })
    expect(await client`SELECT hash FROM drizzle.__drizzle_migrations`).toHaveLength(1)
  })

  test('uses the schema named by the search path', async () => {
    const url = await createDatabase()
    const { client } = openAt(url).connection
    const role = `r${crypto.randomUUID().replaceAll('-', '')}`
    await client.unsafe(
      `CREATE ROLE ${role} LOGIN; CREATE SCHEMA own AUTHORIZATION ${role}; ALTER ROLE ${role} SET search_path = own`,
    )
    closing.push(() => client.unsafe(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`))
    const asRole = new URL(url)
    asRole.username = role
    expect(await openAt(asRole.href).database.migrate()).toEqual({ applied: all, adopted: undefined, isNew: true })
    const tables =
      await client`SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'audittrail%' OR tablename = 'users'`
    expect(tables.map((row) => row.schemaname)).toEqual(['own'])
  })

  test('needs no CREATE privilege once it is done', async () => {
    const url = await createDatabase()
    const owner = openAt(url)
    await owner.database.migrate()
    const role = `r${crypto.randomUUID().replaceAll('-', '')}`
    const { client } = owner.connection
    await client.unsafe(`CREATE ROLE ${role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role};
      REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
    closing.push(() => client.unsafe(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`))
    const asRole = new URL(url)
    asRole.username = role
    expect(await openAt(asRole.href).database.migrate()).toEqual({ applied: 0, adopted: undefined, isNew: false })
  })

  test('without the CREATE privilege fails with one line', async () => {
    const url = await createDatabase()
    const { client } = openAt(url).connection
    const role = `r${crypto.randomUUID().replaceAll('-', '')}`
    await client.unsafe(`CREATE ROLE ${role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
    closing.push(() => client.unsafe(`DROP ROLE ${role}`))
    const asRole = new URL(url)
    asRole.username = role
    const refusal = await openAt(asRole.href)
      .database.migrate()
      .catch((error) => error)
    expect(refusal).toMatchObject({
      code: 'refused',
      message: expect.stringContaining(`GRANT CREATE ON SCHEMA public TO ${role};`),
    })
  })

  test('accepts and reports migrations of a newer version', async () => {
    const opened = openAt(await createDatabase())
    await opened.database.migrate()
    await opened.connection.client`INSERT INTO audittrail_migrations (created_at, hash) VALUES (9999999999999, 'newer')`
    expect(await opened.database.migrationStatus()).toEqual({ applied: all, pending: 0, newer: 1 })
    expect(await opened.database.migrate()).toEqual({ applied: 0, adopted: undefined, isNew: false })
  })
})

/** The FastAPI original as SQLAlchemy 2 and Alembic create it, with a hash by pwdlib. */
const original = `
  CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
  INSERT INTO alembic_version (version_num) VALUES ('3f2a9c1d7e55');
  CREATE TABLE users (
    id UUID NOT NULL,
    username VARCHAR(50) NOT NULL,
    hashed_password VARCHAR(255) NOT NULL,
    full_name VARCHAR(100) NOT NULL,
    is_active BOOLEAN NOT NULL,
    PRIMARY KEY (id)
  );
  CREATE UNIQUE INDEX ix_users_username ON users (username);`

const ada = `INSERT INTO users VALUES ('0b9f4a34-52a5-4a6f-9d0e-0a6d7c2f1b11', 'Ada', '${hashByPwdlib}', 'Ada Lovelace', true)`

describe('a database of the FastAPI original', () => {
  async function adopt(...statements: string[]) {
    const opened = openAt(await createDatabase())
    for (const statement of statements) await opened.connection.client.unsafe(statement)
    return { ...opened, outcome: await opened.database.migrate().catch((error: unknown) => error) }
  }

  test('is adopted with its rows and gets the shape of a new one', async () => {
    const fresh = openAt(await createDatabase())
    await fresh.database.migrate()
    const adopted = await adopt(original, ada)
    expect(adopted.outcome).toEqual({ applied: all, adopted: 1, isNew: true })
    expect(await shapeOfUsers(adopted)).toEqual(await shapeOfUsers(fresh))
    expect(await uniqueIndexesOfUsers(adopted)).toEqual(await uniqueIndexesOfUsers(fresh))
    const { client } = adopted.connection
    expect(await client`SELECT username, full_name, is_active FROM users`).toEqual([
      { username: 'Ada', full_name: 'Ada Lovelace', is_active: true },
    ] as never)
    expect(await client`SELECT version_num FROM alembic_version`).toHaveLength(1)
    await client`INSERT INTO users(username, hashed_password, full_name) VALUES ('bob', 'x', 'Bob')`
  })

  test('with nullable columns keeps each row, and inactive users stay inactive', async () => {
    const loose = original
      .replace('is_active BOOLEAN NOT NULL', 'is_active BOOLEAN')
      .replace('full_name VARCHAR(100) NOT NULL', 'full_name VARCHAR(60)')
      .replace('hashed_password VARCHAR(255) NOT NULL', 'hashed_password VARCHAR')
    const { outcome, connection } = await adopt(loose, ada.replace('true)', 'NULL)'))
    expect(outcome).toMatchObject({ adopted: 1 })
    expect(await connection.client`SELECT is_active FROM users`).toEqual([{ is_active: false }] as never)
  })

  test('with columns named like ours keeps their values', async () => {
    const more = original.replace(
      'is_active BOOLEAN NOT NULL,',
      'is_active BOOLEAN NOT NULL, created_at TIMESTAMP, email VARCHAR(255),',
    )
    const row = ada.replace('true)', "true, '2020-01-02 03:04:05', 'ada@example.org')")
    const { outcome, connection } = await adopt(more, row)
    expect(outcome).toMatchObject({ adopted: 1 })
    expect(
      await connection.client`SELECT created_at = '2020-01-02T03:04:05Z'::timestamptz AS kept, email FROM users`,
    ).toEqual([{ kept: true, email: 'ada@example.org' }] as never)
  })

  test.each([
    [
      'names equal but for case',
      [original, ada, ada.replace('0b9f', '1b9f').replace("'Ada'", "'ada'")],
      'the usernames "Ada" and ada differ',
    ],
    ['another type of id', [original.replace('id UUID', 'id SERIAL')], 'its column id is of type integer'],
    ['a missing column', [original.replace('full_name VARCHAR(100) NOT NULL,', '')], 'it has no column full_name'],
    [
      'an extra column that must be filled',
      [original.replace('PRIMARY KEY (id)', 'email TEXT NOT NULL, PRIMARY KEY (id)')],
      'its column email is NOT NULL',
    ],
    [
      'roles of another type',
      [original.replace('PRIMARY KEY (id)', 'roles TEXT, PRIMARY KEY (id)')],
      'its column roles is of type text',
    ],
  ])('with %s is rejected with one line and left unchanged', async (_what, statements, message) => {
    const { outcome, connection } = await adopt(...statements)
    expect((outcome as AppError).code).toBe('refused')
    expect((outcome as AppError).message).toContain(message)
    expect((outcome as AppError).message).not.toContain('\n')
    const [{ exists } = { exists: true }] =
      await connection.client`SELECT to_regclass('audittrail_migrations') IS NOT NULL AS exists`
    expect(exists).toBe(false)
  })
})
