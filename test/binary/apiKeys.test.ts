import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, run, type Server, serve } from './binary.ts'

const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1', SECRET_KEY: 'k'.repeat(32) }

interface Listed {
  readonly id: string
  readonly name: string
  readonly created_by: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly created_at: string
  readonly expires_at: string | null
}

describe.each(['PostgreSQL', 'the embedded database'] as const)('apikey commands on %s', (kind) => {
  describe.each(['with the server down', 'with the server up'] as const)('%s', (state) => {
    const directory = emptyDirectory()
    let environment: Record<string, string>
    let server: Server
    beforeAll(async () => {
      const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
      environment = { ...database, ...cheap }
      server = await serve({ directory, environment })
      if (state === 'with the server down') await server.stop()
    })
    afterAll(() => server.stop())

    const command = (...args: string[]) => run(['apikey', ...args], { directory, environment })
    const listed = async () => JSON.parse((await command('list', '--json')).stdout) as Listed[]
    /** What the key is answered, by the server that is up or one for the moment. */
    const statusWith = async (key: string, path: string) => {
      const asked = state === 'with the server up' ? server : await serve({ directory, environment })
      const { status } = await fetch(`${asked.url}${path}`, { headers: { authorization: `Bearer ${key}` } })
      if (asked !== server) await asked.stop()
      return status
    }

    test('make, list and revoke keys', async () => {
      const made = await command('create', 'reports', '--scope', 'users:read', '--role', 'staff', '--role', 'other')
      expect(made.code).toBe(0)
      // The key and nothing else, so that a shell can catch it.
      expect(made.stdout).toMatch(/^atk_[0-9A-Za-z]{49}\n$/)
      expect(made.stderr).toMatch(
        /^API key \S{36} for reports created; it expires 20\S+Z\. The key is shown only once:\n$/,
      )
      const key = made.stdout.trim()
      const [only, ...none] = await listed()
      expect(none).toEqual([])
      expect(only).toMatchObject({
        name: 'reports',
        created_by: 'command line',
        scopes: ['users:read'],
        roles: ['staff', 'other'],
      })
      expect(Date.parse(only?.expires_at ?? '') - Date.parse(only?.created_at ?? '')).toBe(365 * 86_400_000)
      expect(await statusWith(key, '/users')).toBe(200)
      expect(await statusWith(key, '/auth/verify?role=other')).toBe(204)

      const second = await command('create', 'reports', '--scope', 'introspect', '--no-expiry', '--json')
      const shown = JSON.parse(second.stdout) as Listed & { key: string }
      expect(shown).toMatchObject({ name: 'reports', expires_at: null, key: expect.stringMatching(/^atk_/) })
      const third = JSON.parse(
        (await command('create', 'other', '--role', 'x', '--days', '3', '--json')).stdout,
      ) as Listed
      expect(Date.parse(third.expires_at ?? '') - Date.parse(third.created_at)).toBe(3 * 86_400_000)
      const table = await command('list')
      expect(table.stdout).toMatch(/^ID +SERVICE +SCOPES +ROLES +CREATED BY +EXPIRES +LAST USED\n/)
      expect(table.stdout).not.toContain('atk_')
      expect((await listed()).map(({ name }) => name)).toEqual(['other', 'reports', 'reports'])

      expect((await command('revoke', third.id.toUpperCase())).stdout).toBe('API keys revoked: 1.\n')
      expect((await command('revoke', 'REPORTS')).stdout).toBe('API keys revoked: 2.\n')
      expect(await listed()).toEqual([])
      const all = await command('list', '--all')
      expect(all.stdout).toMatch(/^ID .* REVOKED\n/)
      expect(all.stdout.match(/ by command line\n/g)).toHaveLength(3)
      expect(await statusWith(key, '/users')).toBe(401)
    })

    test.each([
      [['create'], 2, 'NAME'],
      [['create', 'x', 'y'], 2, '"y"'],
      [['create', 'x', '--scope'], 2, 'Missing value SCOPE after --scope'],
      [['create', 'x', '--role', 'r', '--days', '0'], 2, '--days'],
      [['create', 'x', '--role', 'r', '--days', '1e3'], 2, '--days'],
      [['create', 'x', '--role', 'r', '--days', '3', '--no-expiry'], 2, '--no-expiry'],
      [['create', 'x'], 1, 'scopes'],
      [['create', 'x', '--scope', 'everything'], 1, 'introspect, users:read, users:write'],
      [['create', 'a b', '--role', 'r'], 1, 'name'],
      [['create', 'x', '--role', 'A'], 1, 'roles'],
      [['revoke', 'nobody'], 1, 'no service has this name'],
      [['revoke', '5b0f2a7e-5f0e-4c55-8d59-0b8c2c7a9a10'], 1, 'API key not found.'],
    ] as const)('refuse %j with exit code %i and one line', async (args, code, word) => {
      const finished = await command(...args)
      expect({ code: finished.code, stdout: finished.stdout }).toEqual({ code, stdout: '' })
      expect(finished.stderr).toMatch(/^audittrail: [^\n]+\n$/)
      expect(finished.stderr).toContain(word)
    })
  })
})

describe('a stolen DATA_DIR of the embedded database', () => {
  test('has no key in any of its files, though the key is in use', async () => {
    const directory = emptyDirectory()
    const server = await serve({ directory, environment: cheap })
    const made = await run(['apikey', 'create', 'reports', '--scope', 'users:read'], { directory, environment: cheap })
    const key = made.stdout.trim()
    const headers = { authorization: `Bearer ${key}` }
    expect((await fetch(`${server.url}/users`, { headers })).status).toBe(200)
    await server.stop()
    const secret = key.slice('atk_'.length, -6)
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const whole = Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))))
    // That it is looked for where it would be, its service shows.
    expect(whole.includes('reports')).toBe(true)
    for (const part of [key, secret, secret.slice(0, 12), secret.slice(-12)]) expect(whole.includes(part)).toBe(false)
  })
})
