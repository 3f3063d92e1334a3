import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { emptyDirectory, login, start, untilReady } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'

const name = 'database.audittrail.test'

/**
 * The prefix that gives a command its own /etc/hosts. Undefined where this machine does not allow
 * it.
 */
const withHosts = findCommand()

describe.skipIf(withHosts === undefined)('the host name of the database', () => {
  const hosts = join(emptyDirectory(), 'hosts')
  let database: PostgresqlServer

  beforeAll(async () => {
    database = await startServer()
  })
  afterAll(() => database?.stop())

  test('a name that stops resolving means 503 until it resolves again', async () => {
    const forget = () => writeFileSync(hosts, '127.0.0.1 localhost\n')
    const tell = () => writeFileSync(hosts, `127.0.0.1 localhost ${name}\n`)
    const own = postgres(database.url, { max: 1 })
    forget()
    const running = start({
      command: withHosts?.(hosts) ?? [],
      environment: {
        HOST: '127.0.0.1',
        PORT: '0',
        SECRET_KEY: 'k'.repeat(32),
        DATABASE_URL: `postgresql://postgres@${name}:${database.port}/postgres?sslmode=disable`,
      },
    })
    const ready = untilReady(running)
    await until(() => running.output.stdout.includes('database.unavailable'))
    expect(running.output.stdout).toMatch(/cannot be reached \((ENOTFOUND|EAI_AGAIN)/)
    tell()
    const url = await ready
    expect((await login(url)).status).toBe(200)

    forget()
    await own`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'audittrail'`
    expect((await login(url)).status).toBe(503)
    tell()
    await until(async () => (await login(url)).status === 200)
    await own.end()
    running.process.kill('SIGTERM')
    expect((await running.finished).code).toBe(0)
  })
})

function findCommand(): ((hosts: string) => string[]) | undefined {
  if (!hasProgram('unshare', 'util-linux')) return undefined
  const ways = [[], ['--user', '--map-root-user']].map((own) => (hosts: string) => [
    ...['unshare', ...own, '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts],
  ])
  const way = ways.find((candidate) => {
    const [file = '', ...args] = candidate('/etc/hosts')
    return spawnSync(file, [...args, 'true']).status === 0
  })
  if (way === undefined && process.env.CI === 'true') throw new Error('unshare --mount is not permitted here')
  return way
}
