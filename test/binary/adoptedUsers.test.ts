import { describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { login, run, serve } from './binary.ts'
import { databaseKinds, hash, newInstallation } from './installation.ts'

const longName = 'a.very.long.address.of.somebody@department.company.example'

/** A table of the FastAPI original with wider columns and names that AuditTrail does not give. */
async function adoptedInstallation() {
  const installation = await newInstallation('PostgreSQL')
  await query(
    installation.environment.DATABASE_URL,
    `CREATE TABLE users (id uuid PRIMARY KEY, username varchar(255) NOT NULL UNIQUE, hashed_password varchar(255) NOT NULL,
       full_name varchar(255) NOT NULL, is_active boolean NOT NULL);
     INSERT INTO users SELECT gen_random_uuid(), n, h, f, true FROM (VALUES ('ada', '${hash}', 'Ada'),
       ('Jörg Müller', '${hash}', 'Jörg'), ('${longName}', '${hash}', 'Long'), ('bob', '${hash}', repeat('B', 120)),
       ('cy', '${hash}', E'Cy\\tTab'), ('dee', '$5$rounds=1000$abc$' || repeat('x', 43), 'Dee')) AS v(n, h, f)`,
  )
  expect((await run(['migrate'], installation)).code).toBe(0)
  return installation
}

async function query(url: string | undefined, sql: string): Promise<void> {
  const client = postgres(url ?? '', { max: 1, onnotice: () => {} })
  await client.unsafe(sql)
  await client.end()
}

const alterTable =
  'ALTER TABLE users ALTER COLUMN username TYPE varchar(255), ALTER COLUMN full_name TYPE varchar(255);'
const warning = 'warning: hashed_password cannot be verified: sha256-crypt ($5$)\n'

describe.each(databaseKinds)('users of an adopted database, moved to %s', (kind) => {
  test('are listed if they do not fit, and imported once the columns are wide enough', async () => {
    const source = await adoptedInstallation()
    const exported = await run(['export', 'users.ndjson'], source)
    expect(exported).toMatchObject({
      code: 0,
      stderr:
        `line 1: warning: username has 58 characters, and a new database holds 50\n` +
        `line 3: warning: full_name has 120 characters, and a new database holds 100\nline 5: ${warning}` +
        `Before you import the file into a new database, make room there with: ${alterTable}\n` +
        'Exported 6 users. The file contains password hashes, so anyone who reads it can brute-force them. Protect it like the database, and delete it after use.\n',
    })
    const target = await newInstallation(kind)
    await (await serve(target)).stop()
    writeFileSync(join(target.directory, 'users.ndjson'), readFileSync(join(source.directory, 'users.ndjson')))
    const advice =
      kind === 'PostgreSQL'
        ? `To make room for the values that are too long, run: ${alterTable}\n`
        : `The embedded database has no SQL access. Shorten the values that are too long, or import into PostgreSQL after: ${alterTable}\n`
    expect(await run(['import', 'users.ndjson'], target)).toMatchObject({
      code: 1,
      stdout: '',
      stderr:
        'line 1: username has 58 characters, and the column holds 50\n' +
        `line 3: full_name has 120 characters, and the column holds 100\nline 5: ${warning}${advice}` +
        'audittrail: 2 of 6 lines are invalid, so nothing was imported. Fix them, or import the rest with --skip-bad.\n',
    })
    const imported = 'Users whose hash cannot be verified: 1. Set one with "audittrail user password NAME".\n'
    if (kind === 'PostgreSQL') {
      await query(target.environment.DATABASE_URL, alterTable)
      expect(await run(['import', 'users.ndjson'], target)).toMatchObject({
        code: 0,
        stdout: `Imported 6 users.\n${imported}`,
        stderr: `line 5: ${warning}`,
      })
    } else {
      expect(await run(['import', 'users.ndjson', '--skip-bad'], target)).toMatchObject({
        code: 0,
        stdout: `Imported 4 users.\nSkipped 2 invalid records.\n${imported}`,
      })
    }
    const server = await serve(target)
    const again = await run(['import', 'users.ndjson', '--dry-run', '--skip-bad', '--json'], target)
    expect(JSON.parse(again.stdout)).toMatchObject({ good: 0, bad: 6, unverifiable: 0 })
    expect((await login(server.url, 'Jörg Müller', 'correct horse battery staple')).status).toBe(200)
    expect((await login(server.url, 'dee', 'correct horse battery staple')).status).toBe(401)
    await server.stop()
  })
})
