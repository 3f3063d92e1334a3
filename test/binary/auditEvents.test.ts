import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, login, type Running, run, serve } from './binary.ts'

const password = 'a long pass phrase'
const settings = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  ALGORITHM: 'EdDSA',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

interface Listed {
  readonly index: number
  readonly type: string
  readonly outcome: string
  readonly by: { readonly kind: string }
}

describe.each([
  ['PostgreSQL', 'down'],
  ['PostgreSQL', 'up'],
  ['the embedded database', 'down'],
  ['the embedded database', 'up'],
])('commands on %s with the server %s', (kind, server) => {
  test('leave the events of what they did in the audit log', async () => {
    const directory = emptyDirectory()
    const environment: Record<string, string> = { ...settings }
    if (kind === 'PostgreSQL') environment.DATABASE_URL = await createDatabase()
    const call = async (...args: readonly string[]) => {
      const { code, stdout, stderr } = await run(args, { environment, directory, input: `${password}\n` })
      expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
      return stdout
    }
    const listed = async () =>
      (await call('audit', 'list', '--json', '--limit', '1000'))
        .split('\n')
        .filter(Boolean)
        .map((line): Listed => JSON.parse(line))

    // Creates keys and sessions, and a lockout.
    const first = await serve({ environment, directory })
    await login(first.url, 'admin', password)
    for (let failure = 0; failure < 7; failure++) await login(first.url, 'admin', 'wrong')
    let running: (Running & { stop(): Promise<unknown> }) | undefined = first
    if (server === 'down') {
      await first.stop()
      running = undefined
    }
    const before = (await listed()).at(-1)?.index ?? -1
    const file = join(directory, 'users.ndjson')
    writeFileSync(file, `${JSON.stringify({ username: 'imported', full_name: 'Imported', hashed_password: '!' })}\n`)

    await call('import', file)
    await call('export', join(directory, 'exported.ndjson'))
    await call('user', 'add', 'ada', '--full-name', 'Ada')
    await call('user', 'set', 'ada', '--role', 'editor')
    await call('user', 'disable', 'ada')
    await call('user', 'enable', 'ada')
    await call('user', 'password', 'ada')
    await call('block', 'lift', 'admin')
    await call('session', 'revoke', 'admin', '--yes')
    const key = JSON.parse(await call('apikey', 'create', 'shop', '--scope', 'introspect', '--json')) as { id: string }
    await call('apikey', 'revoke', key.id, '--yes')
    await call('user', 'remove', 'ada')
    await call('key', 'rotate')
    await call('key', 'reset', '--yes')
    await call('seed')
    await running?.stop()

    const added = (await listed()).filter(({ index }) => index > before)
    const own = added.filter(({ by }) => by.kind === 'command').map(({ type }) => type)
    expect(own).toEqual([
      'users.imported',
      'audit.baseline',
      'users.export_started',
      'users.exported',
      'user.created',
      'user.roles_changed',
      'user.disabled',
      'user.enabled',
      'password.reset',
      'block.lifted',
      'sessions.ended',
      'api_key.created',
      'api_key.revoked',
      'user.deleted',
      'key.rotated',
      'key.reset',
      'key.created',
    ])
    expect(await call('audit', 'verify')).toContain('The audit log is intact')
  }, 120_000)
})

describe('commands that record events, on PostgreSQL', () => {
  test('adoption, migration and seeding are the first events', async () => {
    const url = await createDatabase(`CREATE TABLE users (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(), username varchar(50) UNIQUE NOT NULL, hashed_password varchar(200) NOT NULL,
      full_name varchar(100) NOT NULL, is_active boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL DEFAULT now());
      INSERT INTO users (username, hashed_password, full_name) VALUES ('ada', 'x', 'Ada')`)
    const environment = { ...settings, DATABASE_URL: url }
    expect((await run(['migrate'], { environment })).stdout).toContain('Adopted 1 user')
    await (await serve({ environment })).stop()
    const { stdout } = await run(['audit', 'show', '0', '--json'], { environment })
    expect(JSON.parse(stdout)).toMatchObject({ type: 'database.migrated', facts: { adopted: 1 } })
    expect(await run(['audit', 'verify'], { environment })).toMatchObject({ code: 0 })
  })

  test.each([
    ['user add', ['user', 'add', 'ada', '--full-name', 'Ada']],
    ['import', ['import', 'users.ndjson']],
    ['export', ['export', 'exported.ndjson']],
    ['key rotate', ['key', 'rotate']],
    ['seed', ['seed']],
    ['audit restored', ['audit', 'restored']],
  ])('%s with another SECRET_KEY changes nothing and names the setting', async (_, args) => {
    const environment = { ...settings, DATABASE_URL: await createDatabase() }
    await (await serve({ environment })).stop()
    const listed = () => run(['audit', 'list', '--json', '--limit', '1000'], { environment })
    const before = await listed()
    expect(before).toMatchObject({ code: 0, stdout: expect.stringContaining('server.started') })
    const directory = emptyDirectory()
    writeFileSync(join(directory, 'users.ndjson'), `${JSON.stringify({ username: 'ada', full_name: 'Ada' })}\n`)
    const other = { ...environment, SECRET_KEY: 'o'.repeat(32) }
    const failed = await run(args, { environment: other, directory, input: `${password}\n` })
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('This database was used with a different SECRET_KEY.')
    expect(await listed()).toEqual(before)
    expect(await run(['audit', 'verify'], { environment: other })).toMatchObject({ code: 3 })
    expect(await run(['audit', 'verify'], { environment })).toMatchObject({ code: 0 })
  })

  test('a log outlives a lost SECRET_KEY and a changed one', async () => {
    const environment: Record<string, string> = { ...settings, DATABASE_URL: await createDatabase() }
    await (await serve({ environment })).stop()
    environment.SECRET_KEY = 'o'.repeat(32)
    expect(await run(['key', 'reset', '--yes'], { environment })).toMatchObject({ code: 0 })
    await (await serve({ environment })).stop()
    expect(await run(['audit', 'verify'], { environment })).toMatchObject({ code: 0 })
    const changed = { ...environment, SECRET_KEY: 'p'.repeat(32), SECRET_KEY_PREVIOUS: environment.SECRET_KEY }
    await (await serve({ environment: changed })).stop()
    const { SECRET_KEY_PREVIOUS: _, ...alone } = changed
    await (await serve({ environment: alone })).stop()
    const verified = await run(['audit', 'verify'], { environment: alone })
    expect(verified).toMatchObject({ code: 0 })
    expect(verified.stdout).toContain('records sealed with a former SECRET_KEY')
  })
})
