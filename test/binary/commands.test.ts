import { describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import journal from '../../drizzle/meta/_journal.json'
import { createDatabase } from '../postgresql.ts'
import { binary, emptyDirectory, run, serve } from './binary.ts'

const migrations = journal.entries.length

const secretKey = { SECRET_KEY: 'k'.repeat(32) }

describe('the command line', () => {
  test('prints the version and the help', async () => {
    expect(await run(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    })
    const help = await run(['--help'])
    expect(help.code).toBe(0)
    for (const word of ['serve', 'migrate', 'seed', 'healthcheck', 'config', 'help settings'])
      expect(help.stdout.replace(/\s+/g, ' ')).toContain(word)
    expect((await run(['help', 'settings'])).stdout).toContain('\n  DATABASE_URL ')
    expect((await run(['migrate', '--help'])).stdout).toContain('--status')
  })

  test.each([
    [['fly'], 'Unknown command "fly".'],
    [['--fly'], 'Unknown flag --fly for "serve". Run "audittrail serve --help".'],
    [['--constructor'], 'Unknown flag --constructor for "serve".'],
    [['migrate', '--fly'], 'Unknown flag --fly for "migrate".'],
    [['migrate', 'twice'], 'Unexpected argument "twice" for "migrate".'],
    [['--env-file'], 'Missing value FILE after --env-file'],
    [['--env-file', '/nowhere'], '--env-file: cannot read "/nowhere" (ENOENT)'],
  ])('rejects %p in one line with exit code 2', async (args, line) => {
    const { code, stderr, stdout } = await run(args)
    expect(code).toBe(2)
    expect(stderr).toContain(line)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
  })

  test('exits 1 and says so if standard output is on a full disk', async () => {
    const child = Bun.spawn([binary, 'help', 'settings'], { stdout: Bun.file('/dev/full'), stderr: 'pipe' })
    expect(await child.exited).toBe(1)
    expect(await new Response(child.stderr).text()).toBe(
      'audittrail: Cannot write to standard output (ENOSPC). The output is incomplete.\n',
    )
  })

  test('rejects an invalid setting in one line with exit code 2, and creates nothing', async () => {
    const directory = emptyDirectory()
    const { code, stderr } = await run([], { directory, environment: { PORT: 'http' } })
    expect(code).toBe(2)
    expect(stderr).toBe('audittrail: PORT must be a whole number from 0 to 65535 (got "http").\n')
    expect(readdirSync(directory)).toEqual([])
  })

  test('config: shows the settings and hides the secrets', async () => {
    const environment = { DATABASE_URL: 'postgresql://u:hidden@h/x', SECRET_KEY: 'hidden'.repeat(6), PORT: '9000' }
    const { code, stdout } = await run(['config'], { environment })
    expect(code).toBe(0)
    expect(stdout).toContain('PORT=9000')
    expect(stdout).toContain('DATABASE_URL=(set)')
    expect(stdout).not.toContain('hidden')
    expect(JSON.parse((await run(['config', '--json'], { environment })).stdout).PORT).toEqual({
      value: 9000,
      source: 'environment',
    })
  })

  test('migrate, seed: work on PostgreSQL and can be repeated', async () => {
    const environment = { DATABASE_URL: await createDatabase() }
    expect((await run(['migrate', '--status'], { environment })).stdout).toStartWith(
      `applied 0\npending ${migrations}\n`,
    )
    expect((await run(['migrate'], { environment })).stdout).toBe(
      `Created the tables (migrations applied: ${migrations}).\n`,
    )
    expect((await run(['migrate'], { environment })).stdout).toBe('Nothing to do: the database is up to date.\n')
    expect((await run(['seed'], { environment })).stdout).toBe('Administrator admin created.\n')
    expect((await run(['seed'], { environment })).stdout).toStartWith('Nothing to seed')
  })

  test('migrate, seed: work on the embedded database and can be repeated', async () => {
    const directory = emptyDirectory()
    expect((await run(['migrate'], { directory })).stdout).toBe(
      `Created the tables (migrations applied: ${migrations}).\n`,
    )
    expect((await run(['seed'], { directory })).stdout).toBe('Administrator admin created.\n')
    expect((await run(['seed'], { directory })).stdout).toStartWith('Nothing to seed')
  })

  test('healthcheck: exits with 0 next to a running server and with 1 without one', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), ...secretKey } })
    const environment = { PORT: new URL(server.url).port }
    expect((await run(['healthcheck'], { environment })).code).toBe(0)
    expect((await run(['healthcheck', '--ready'], { environment })).code).toBe(0)
    const proxied = {
      ...environment,
      http_proxy: 'http://127.0.0.1:9',
      HTTP_PROXY: 'http://127.0.0.1:9',
      ALL_PROXY: 'http://127.0.0.1:9',
    }
    expect((await run(['healthcheck'], { environment: proxied })).code).toBe(0)
    await server.stop()
    const gone = await run(['healthcheck'], { environment })
    expect(gone.code).toBe(1)
    expect(gone.stderr).toContain('does not respond')
  })
})
