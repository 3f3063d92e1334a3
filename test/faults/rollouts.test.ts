import { afterEach, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { accessToken, login, me, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { type SchemaChange, whatBreaksOlderVersions } from './additive.ts'

const password = 'a long enough pass phrase'
const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

const drizzle = join(import.meta.dir, '../../drizzle')
const journal: { entries: { tag: string; when: number }[] } = JSON.parse(
  readFileSync(join(drizzle, 'meta/_journal.json'), 'utf8'),
)
const migrations: readonly SchemaChange[] = journal.entries.map(({ tag, when }) => {
  const text = readFileSync(join(drizzle, `${tag}.sql`), 'utf8')
  return {
    name: tag,
    createdAt: when,
    hash: createHash('sha256').update(text).digest('hex'),
    statements: text.split('--> statement-breakpoint').map((statement) => statement.replaceAll('"public".', '').trim()),
  }
})

/**
 * Every statement that the version with migration 0002 (commit 1a677e5) sends to PostgreSQL, taken
 * from the server's log while each of its routes was called.
 */
const olderStatements = recorded('statements-0002.sql')

/** The statements on `audittrail_attempts` of the version with migration 0005 (commit 45d7ea5). */
const throttleStatements = recorded('statements-0005.sql')

function recorded(file: string): string[] {
  return readFileSync(join(import.meta.dir, file), 'utf8')
    .trim()
    .split('\n')
}

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function open(url: string): postgres.Sql {
  const client = postgres(url, { max: 4, onnotice: () => {} })
  closing.push(() => client.end())
  return client
}

describe('migrations only add, so that the previous version keeps working:', () => {
  const change = (statement: string) => ({ name: 'x', createdAt: 1, hash: '', statements: [statement] })
  const earlier = ['CREATE INDEX "i" ON "users" ("full_name")', 'CREATE UNIQUE INDEX "u" ON "users" ("full_name")']

  test.each(migrations.map((migration, index) => [migration.name, index] as const))('%s', (_name, index) => {
    const [migration] = migrations.slice(index)
    const earlier = migrations.slice(0, index).flatMap(({ statements }) => statements)
    expect(migration && whatBreaksOlderVersions(migration, earlier)).toEqual([])
  })

  test.each([
    'DROP TABLE "users";',
    'ALTER TABLE "users" DROP COLUMN "full_name";',
    'ALTER TABLE "users" RENAME COLUMN "full_name" TO "name";',
    'ALTER TABLE "users" RENAME TO "people";',
    'ALTER TABLE "users" ALTER COLUMN "roles" SET NOT NULL;',
    'ALTER TABLE "users" ALTER COLUMN "username" SET DATA TYPE varchar(20);',
    'ALTER TABLE "users" ALTER COLUMN "is_active" DROP DEFAULT;',
    'ALTER TABLE "users" ADD COLUMN "email" text NOT NULL;',
    'ALTER TABLE "users" ADD COLUMN "email" text UNIQUE;',
    'ALTER TABLE "users" ADD CONSTRAINT "c" CHECK (length("username") > 3);',
    'ALTER TABLE "audittrail_sessions" ADD CONSTRAINT "f" FOREIGN KEY ("id") REFERENCES "users"("id");',
    'CREATE UNIQUE INDEX "u" ON "users" USING btree ("full_name");',
    'UPDATE "users" SET "full_name" = \'\';',
    'TRUNCATE "audittrail_sessions";',
    'INSERT INTO "audittrail_instance" ("id") VALUES (1);',
    'DROP INDEX "u";',
    'DROP INDEX "unknown";',
    'DROP INDEX "i" CASCADE;',
    'ALTER TABLE "users" SET UNLOGGED;',
    'ALTER TABLE "users" SET (fillfactor = 80), DROP COLUMN "full_name";',
  ])('the rule rejects %s', (statement) => {
    expect(whatBreaksOlderVersions(change(statement), earlier)).toEqual([statement])
  })

  test.each([
    'ALTER TABLE "users" ADD COLUMN "email" text;',
    'ALTER TABLE "users" ADD COLUMN "level" integer DEFAULT 0 NOT NULL;',
    'CREATE INDEX "i" ON "users" USING btree ("full_name");',
    'CREATE TABLE "audittrail_things" ("id" uuid PRIMARY KEY NOT NULL);',
    'DROP INDEX "i";',
    'DROP INDEX IF EXISTS "i";',
    'ALTER TABLE "users" SET (fillfactor = 80);',
  ])('the rule accepts %s', (statement) => {
    expect(whatBreaksOlderVersions(change(statement), earlier)).toEqual([])
  })
})

describe('an older version next to this one', () => {
  test('prepares every one of its statements on the current schema', async () => {
    const url = await createDatabase()
    const server = await serve({ environment: { ...environment, DATABASE_URL: url } })
    const client = open(url)
    expect([olderStatements.length, throttleStatements.length]).toEqual([30, 9])
    for (const [index, statement] of [...olderStatements, ...throttleStatements].entries())
      await client.unsafe(`PREPARE older_${index} AS ${statement}`).simple()
    await server.stop()
  })

  test('and this one count failures in the same rows', async () => {
    const url = await createDatabase()
    const server = await serve({ environment: { ...environment, DATABASE_URL: url } })
    const client = open(url)
    for (let failure = 1; failure <= 3; failure++) expect((await login(server.url, 'admin', 'wrong')).status).toBe(401)
    const [row] = await client`SELECT key, account, network FROM audittrail_attempts WHERE kind = 'client'`
    const { key, account, network } = row ?? {}
    // In the future: the lockout lasts only a second, and the machine may be slow.
    const [at, until] = [3000, 900_000].map((ahead) => new Date(Date.now() + ahead).toISOString())
    const values = [
      ...[key, account, 'admin', network, at, until, at],
      ...[account, 'admin', at, until, at, at],
      ...[`network ${network}`, network, at, until, true, at, at],
    ]
    for (let failure = 1; failure <= 3; failure++) await client.unsafe(throttleStatements[2] ?? '', values)
    expect((await login(server.url, 'admin', 'wrong')).status).toBe(429)
    await client.unsafe(throttleStatements[6] ?? '', ['admin'])
    expect((await login(server.url, 'admin', 'wrong')).status).toBe(401)
    await server.stop()
  })

  // From the first version that had users, sessions and refresh tokens.
  test.each([1, 2])('keeps serving while this version migrates from step %d, and both see its writes', async (last) => {
    const url = await createDatabase()
    const client = open(url)
    await migrateTo(client, last)
    const [user] = await client`
        INSERT INTO users (username, hashed_password, full_name)
        VALUES ('older', ${await Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 })}, 'Older')
        RETURNING id, hashed_password`
    let isOver = false
    let written = 0
    // As the older version starts a session. 0001 had no refresh tokens.
    const writing = (async () => {
      for (; !isOver; written++) {
        await client`
            INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at, address, user_agent)
            SELECT ${crypto.randomUUID()}::uuid, id, now(), now(), now() + interval '1 hour', '192.0.2.1', 'older'
            FROM users WHERE id = ${user?.id} AND is_active AND hashed_password = ${user?.hashed_password} FOR SHARE`
      }
    })()
    const server = await serve({ environment: { ...environment, DATABASE_URL: url } })
    const token = await accessToken(server.url, 'older', password)
    const before = written
    while (written === before) await Bun.sleep(1)
    isOver = true
    await writing
    const response = await fetch(`${server.url}/auth/sessions`, { headers: { authorization: `Bearer ${token}` } })
    const { items } = (await response.json()) as { items: unknown[] }
    expect(items).toHaveLength(Math.min(1000, written + 1))
    await server.stop()
  })
})

describe('this version next to a newer one', () => {
  test('keeps serving, restarts, and logs the newer schema', async () => {
    const url = await createDatabase()
    const first = await serve({ environment: { ...environment, DATABASE_URL: url } })
    const client = open(url)
    await client.begin(async (transaction) => {
      await transaction.unsafe(`
        ALTER TABLE users ADD COLUMN email text, ADD COLUMN level integer NOT NULL DEFAULT 0;
        ALTER TABLE audittrail_sessions ADD COLUMN device text NOT NULL DEFAULT '';
        CREATE TABLE audittrail_newer (id uuid PRIMARY KEY, user_id uuid REFERENCES users (id) ON DELETE CASCADE);
        CREATE INDEX audittrail_newer_index ON users (email)`)
      await transaction`INSERT INTO audittrail_migrations (created_at, hash) VALUES (9999999999999, 'newer')`
    })
    const started = await serve({ environment: { ...environment, DATABASE_URL: url } })
    expect(started.output.stdout).toContain('"database.newer"')
    for (const { url: at } of [first, started]) {
      expect((await fetch(`${at}/ready`)).status).toBe(200)
      const token = await accessToken(at, 'admin', password)
      expect((await me(at, token)).status).toBe(200)
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const body = JSON.stringify({ username: `u${crypto.randomUUID()}`, full_name: 'Somebody' })
      const made = await fetch(`${at}/users`, { method: 'POST', headers, body })
      expect(made.status).toBe(201)
      const { id } = (await made.json()) as { id: string }
      expect((await fetch(`${at}/users/${id}`, { method: 'DELETE', headers })).status).toBe(204)
    }
    await first.stop()
    await started.stop()
  })
})

describe('many replicas of this version', () => {
  test.each([['empty', -1] as const, ['older', 1] as const])(
    'started at once on an %s database migrate it once, and all serve',
    async (_what, last) => {
      const url = await createDatabase()
      if (last >= 0) await migrateTo(open(url), last)
      const replicas = await Promise.all(
        Array.from({ length: 5 }, () => serve({ environment: { ...environment, DATABASE_URL: url } })),
      )
      expect(replicas.filter(({ output }) => output.stdout.includes('"database.migrated"'))).toHaveLength(1)
      for (const replica of replicas) expect((await login(replica.url, 'admin', password)).status).toBe(200)
      await Promise.all(replicas.map((replica) => replica.stop()))
    },
  )
})

/** The database as left by the version whose last migration is this one. */
async function migrateTo(client: postgres.Sql, last: number): Promise<void> {
  await client`CREATE TABLE audittrail_migrations (
    created_at bigint PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`
  for (const { statements, createdAt, hash } of migrations.slice(0, last + 1)) {
    for (const statement of statements) await client.unsafe(statement)
    await client`INSERT INTO audittrail_migrations (created_at, hash) VALUES (${createdAt}, ${hash})`
  }
}
