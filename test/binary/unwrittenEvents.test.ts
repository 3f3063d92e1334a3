import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, run, type Server, serve } from './binary.ts'

const password = 'a long pass phrase'

/** Tables that commands change. */
const tables = ['users', 'audittrail_sessions', 'audittrail_api_keys', 'audittrail_keys']

describe.each(['down', 'up'])('a command whose event cannot be written, with the server %s', (server) => {
  const directory = emptyDirectory()
  let environment: Record<string, string>
  let client: postgres.Sql
  let running: Server | undefined
  let apiKey: string

  const call = (...args: readonly string[]) => run(args, { environment, directory, input: `${password}\n` })
  const state = () =>
    Promise.all(tables.map((name) => client.unsafe(`SELECT to_json(t)::text FROM ${name} t ORDER BY 1`)))

  beforeAll(async () => {
    environment = {
      DATABASE_URL: await createDatabase(),
      SECRET_KEY: 'k'.repeat(32),
      ADMIN_PASSWORD: password,
      ALGORITHM: 'EdDSA',
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
    }
    client = postgres(environment.DATABASE_URL ?? '', { max: 1, onnotice: () => {} })
    await (await serve({ environment, directory })).stop()
    expect(await call('user', 'add', 'ada', '--full-name', 'Ada')).toMatchObject({ code: 0 })
    const created = await call('apikey', 'create', 'shop', '--scope', 'introspect', '--json')
    apiKey = (JSON.parse(created.stdout) as { id: string }).id
    const user = { username: 'imported', full_name: 'Imported', hashed_password: '!' }
    writeFileSync(join(directory, 'users.ndjson'), `${JSON.stringify(user)}\n`)
    if (server === 'up') running = await serve({ environment, directory })
    await client.unsafe(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON audittrail_audit_pending FOR EACH ROW EXECUTE FUNCTION refuse()`)
  })
  afterAll(async () => {
    await running?.stop()
    await client.end()
  })

  test.each([
    ['user add', ['user', 'add', 'bob', '--full-name', 'Bob']],
    ['user set', ['user', 'set', 'ada', '--role', 'editor']],
    ['user disable', ['user', 'disable', 'ada']],
    ['user password', ['user', 'password', 'ada']],
    ['user remove', ['user', 'remove', 'ada', '--yes']],
    ['session revoke', ['session', 'revoke', 'ada', '--yes']],
    ['apikey create', ['apikey', 'create', 'other', '--scope', 'introspect']],
    ['apikey revoke', ['apikey', 'revoke', 'ID', '--yes']],
    ['key rotate', ['key', 'rotate']],
    ['key reset', ['key', 'reset', '--yes']],
    ['import', ['import', 'users.ndjson']],
    ['export', ['export', 'exported.ndjson']],
  ])('%s changes nothing and says so in one line, with exit code 1', async (_name, args) => {
    const before = await state()
    const { code, stdout, stderr } = await call(...args.map((word) => (word === 'ID' ? apiKey : word)))
    expect({ code, stdout, lines: stderr.trim().split('\n') }).toEqual({
      code: 1,
      stdout: '',
      lines: [expect.stringMatching(/^audittrail: The database cannot be reached \(53100\)\. .*disk/)],
    })
    expect(await state()).toEqual(before)
  })
})
