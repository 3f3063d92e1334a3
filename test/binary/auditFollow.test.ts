import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { emptyDirectory, login, type Running, run, serve, start } from './binary.ts'
import { databaseKinds, installForSuite } from './installation.ts'

const until = async ({ output }: Pick<Running, 'output'>, text: string) => {
  while (!output.stdout.includes(text)) await Bun.sleep(20)
}

describe.each(databaseKinds)('audit list --follow on %s', (kind) => {
  const { command, installation } = installForSuite(kind, 'with the server up')
  const follow = (args: string, wrapped: readonly string[] = []) =>
    start({ ...installation(), command: wrapped, args: `audit list --follow ${args}`.split(' ') })

  test.each(['SIGINT', 'SIGTERM'] as const)('prints new records that match, until %s', async (signal) => {
    const name = signal.toLowerCase()
    const running = follow('--type user.created --limit 1')
    await until(running, 'INDEX')
    await command(`user add ${name}`)
    await command(`user disable ${name}`)
    await until(running, name)
    running.process.kill(signal)
    const { code, stdout, stderr } = await running.finished
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.match(/^INDEX/gm)).toHaveLength(1)
    expect(stdout).not.toContain('user.disabled')
  })

  test('prints one JSON object per line with --json', async () => {
    const running = follow('--json --limit 1')
    await until(running, '}\n')
    await command('user add json')
    await until(running, '"json"')
    running.process.kill('SIGINT')
    const lines = (await running.finished).stdout.trimEnd().split('\n')
    const indexes = lines.map((line) => JSON.parse(line).index)
    expect(indexes).toEqual(indexes.map((_, at) => indexes[0] + at))
  })

  test('ends without a message once its reader is gone, although there is nothing to print', async () => {
    const running = follow('--limit 1', ['sh', '-c', '{ "$0" "$@"; echo "exit $?" >&2; } | head -1'])
    expect(await running.finished).toMatchObject({ code: 0, stderr: 'exit 0\n' })
  })
})

describe('audit list --follow', () => {
  let database: PostgresqlServer
  beforeAll(async () => {
    database = await startServer()
  })
  afterAll(() => database.stop())

  test('waits for a database that restarts, and goes on where it was', async () => {
    const place = {
      directory: emptyDirectory(),
      environment: {
        DATABASE_URL: database.url,
        SECRET_KEY: 'k'.repeat(32),
        PASSWORD_MEMORY_KIB: '8192',
        PASSWORD_TIME_COST: '1',
      },
    }
    const server = await serve(place)
    const running = start({ ...place, args: ['audit', 'list', '--follow', '--json'] })
    await until(running, 'server.started')
    await database.halt('immediate')
    while (running.output.stderr === '') await Bun.sleep(20)
    await database.restart()
    while ((await login(server.url)).status !== 200) await Bun.sleep(100)
    await until(running, 'login.succeeded')
    running.process.kill('SIGINT')
    const { code, stdout, stderr } = await running.finished
    await server.stop()
    expect(code).toBe(0)
    expect(stderr).toMatch(/^audittrail: .* Waiting for it\.\n$/)
    const indexes = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).index)
    expect(indexes).toEqual(indexes.map((_, at) => at))
    const { stdout: all } = await run(['audit', 'list', '--json'], place)
    expect(all).toStartWith(stdout)
  })
})
