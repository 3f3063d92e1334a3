import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, run, type Server, serve } from './binary.ts'

const lowCost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1', SECRET_KEY: 'k'.repeat(32) }

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
      environment = { ...database, ...lowCost }
      server = await serve({ directory, environment })
      if (state === 'with the server down') await server.stop()
    })
    afterAll(() => server.stop())

    const command = (...args: string[]) => run(['apikey', ...args], { directory, environment })
    const listed = async () => JSON.parse((await command('list', '--json')).stdout) as Listed[]
    /**
     * Returns the status for the key, from the running server or from one started for this request.
     */
    const statusWith = async (key: string, path: string) => {
      const target = state === 'with the server up' ? server : await serve({ directory, environment })
      const { status } = await fetch(`${target.url}${path}`, { headers: { authorization: `Bearer ${key}` } })
      if (target !== server) await target.stop()
      return status
    }

    test('create, list and revoke keys', async () => {
      const created = await command('create', 'reports', '--scope', 'users:read', '--role', 'staff', '--role', 'other')
      expect(created.code).toBe(0)
      // Only the key, so that a shell can capture it.
      expect(created.stdout).toMatch(/^atk_[0-9A-Za-z]{49}\n$/)
      expect(created.stderr).toMatch(
        /^API key \S{36} for reports created; it expires 20\S+Z\. The key is shown only once:\n$/,
      )
      const key = created.stdout.trim()
      const [only, ...others] = await listed()
      expect(others).toEqual([])
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
      const printed = JSON.parse(second.stdout) as Listed & { key: string }
      expect(printed).toMatchObject({ name: 'reports', expires_at: null, key: expect.stringMatching(/^atk_/) })
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
      [['create', 'x', '--scope', 'everything'], 1, 'introspect, users:read, users:write, audit:read'],
      [['create', 'a b', '--role', 'r'], 1, 'name'],
      [['create', 'x', '--role', 'A'], 1, 'roles'],
      [['revoke', 'nobody'], 1, 'no service has this name'],
      [['revoke', '5b0f2a7e-5f0e-4c55-8d59-0b8c2c7a9a10'], 1, 'API key not found.'],
    ] as const)('reject %j in one line with exit code %i', async (args, code, word) => {
      const finished = await command(...args)
      expect({ code: finished.code, stdout: finished.stdout }).toEqual({ code, stdout: '' })
      expect(finished.stderr).toMatch(/^audittrail: [^\n]+\n$/)
      expect(finished.stderr).toContain(word)
    })
  })
})

describe('a stolen DATA_DIR of the embedded database', () => {
  test('contains no API key, although one is in use', async () => {
    const directory = emptyDirectory()
    const server = await serve({ directory, environment: lowCost })
    const created = await run(['apikey', 'create', 'reports', '--scope', 'users:read'], {
      directory,
      environment: lowCost,
    })
    const key = created.stdout.trim()
    const headers = { authorization: `Bearer ${key}` }
    expect((await fetch(`${server.url}/users`, { headers })).status).toBe(200)
    await server.stop()
    const secret = key.slice('atk_'.length, -6)
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const contents = Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))))
    // The name of the service proves that the right files were read.
    expect(contents.includes('reports')).toBe(true)
    for (const part of [key, secret, secret.slice(0, 12), secret.slice(-12)])
      expect(contents.includes(part)).toBe(false)
  })
})
