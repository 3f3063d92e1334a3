import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, run, type Server, serve, start } from './binary.ts'

const lowCost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1', HOST: '127.0.0.1', PORT: '0' }

/** Returns every path in a directory. */
function pathsIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map(String).sort()
}

/** What `initdb` and a server that ran leave. */
function makeServerCluster(path: string, version = '18'): void {
  mkdirSync(join(path, 'global'), { recursive: true })
  mkdirSync(join(path, 'base'))
  for (const [file, text] of [
    ['PG_VERSION', `${version}\n`],
    ['postmaster.opts', '/usr/lib/postgresql/18/bin/postgres\n'],
    ['postmaster.pid', '4711\n'],
  ] as const)
    writeFileSync(join(path, file), text)
}

describe('a failed start leaves nothing behind', () => {
  let other: Server
  beforeAll(async () => {
    other = await serve({ environment: lowCost })
  })
  afterAll(() => other.stop())

  test.each([
    ['the port is in use', async (port: string) => ({ PORT: port })],
    ['the port of METRICS is in use', async (port: string) => ({ METRICS: `127.0.0.1:${port}` })],
    ['the address is not on this machine', async () => ({ HOST: '192.0.2.1' })],
    [
      'the database does not exist',
      async () => ({ DATABASE_URL: Object.assign(new URL(await createDatabase()), { pathname: '/nowhere' }).href }),
    ],
    [
      'the role does not exist',
      async () => ({ DATABASE_URL: Object.assign(new URL(await createDatabase()), { username: 'stranger' }).href }),
    ],
    ['a setting is wrong', async () => ({ LOG_LEVEL: 'loud' })],
  ])('when %s', async (_why, change) => {
    for (const dataDir of ['data', 'deeply/nested/data']) {
      const directory = emptyDirectory()
      const environment = { ...lowCost, DATA_DIR: dataDir, ...(await change(new URL(other.url).port)) }
      expect((await run([], { directory, environment })).code).toBeOneOf([1, 2])
      expect(pathsIn(directory)).toEqual([])
    }
  })

  test('when DATA_DIR existed before, and holds something else', async () => {
    const directory = emptyDirectory()
    mkdirSync(join(directory, 'data/postgresql'), { recursive: true })
    writeFileSync(join(directory, 'data/postgresql/notes'), 'mine')
    const before = pathsIn(directory)
    for (const command of ['serve', 'migrate', 'seed', 'user list']) {
      const { code, stderr } = await run(command.split(' '), { directory, environment: lowCost })
      expect(code).toBe(1)
      expect(stderr).toContain('is not empty and not a database')
      expect(pathsIn(directory)).toEqual(before)
    }
  })

  test('not even a key for a database that was used with another one', async () => {
    const directory = emptyDirectory()
    const environment = { ...lowCost, DATABASE_URL: await createDatabase() }
    await (await serve({ directory, environment })).stop()
    expect(pathsIn(directory)).toContain('data/secret.key')
    const elsewhere = emptyDirectory()
    const { code, stderr } = await run([], { directory: elsewhere, environment })
    expect(code).toBe(1)
    expect(stderr).toContain('different SECRET_KEY')
    expect(pathsIn(elsewhere)).toEqual([])
    await (await serve({ directory, environment })).stop()
  })

  test('but never takes the key from a database that depends on it', async () => {
    const directory = emptyDirectory()
    const environment = { ...lowCost, DATABASE_URL: await createDatabase() }
    await run(['migrate'], { directory, environment })
    expect(pathsIn(directory)).toEqual([])
    const sql = postgres(environment.DATABASE_URL, { max: 1 })
    // Fails after the fingerprint of the key has been recorded.
    await sql.unsafe('ALTER TABLE audittrail_keys ADD CONSTRAINT never CHECK (generation < 0)')
    expect((await run([], { directory, environment })).code).toBe(1)
    expect(pathsIn(directory)).toContain('data/secret.key')
    await sql.unsafe('ALTER TABLE audittrail_keys DROP CONSTRAINT never')
    await sql.end()
    await (await serve({ directory, environment })).stop()
  })

  test('and a start that waits for DATA_DIR goes on when the one before it fails', async () => {
    const other = await serve({ environment: lowCost })
    const directory = emptyDirectory()
    const failing = Array.from({ length: 2 }, () =>
      start({ directory, environment: { ...lowCost, PORT: new URL(other.url).port } }),
    )
    const server = await serve({ directory, environment: lowCost })
    for (const { finished } of failing) expect((await finished).code).toBe(1)
    expect(pathsIn(directory)).toContain('data/lock')
    const second = await run([], { directory, environment: lowCost })
    expect(second.stderr).toContain('in use by another AuditTrail')
    await server.stop()
    await other.stop()
  })
})

describe('DATA_DIR is refused, and stays as it is,', () => {
  test.each([
    ['if it is the data directory of a PostgreSQL server', '.', 'is the data directory of a PostgreSQL server'],
    ['if it is inside one', 'pg_wal/data', 'is inside the data directory of a PostgreSQL server'],
  ])('%s', async (_what, dataDir, problem) => {
    for (const version of ['15', '18']) {
      const directory = emptyDirectory()
      makeServerCluster(directory, version)
      const before = pathsIn(directory)
      const DATABASE_URL = await createDatabase()
      const starts = [{}, { DATABASE_URL }] as Record<string, string>[]
      for (const settings of starts) {
        const environment = { ...lowCost, ...settings, DATA_DIR: join(directory, dataDir) }
        const { code, stderr } = await run([], { environment })
        expect(code).toBe(1)
        expect(stderr).toContain(problem)
        expect(stderr.trim().split('\n')).toHaveLength(1)
        expect(pathsIn(directory)).toEqual(before)
      }
    }
  })

  test('if it has only the PG_VERSION of one', async () => {
    const directory = emptyDirectory()
    writeFileSync(join(directory, 'PG_VERSION'), '15\n')
    for (const command of ['serve', 'migrate', 'seed']) {
      const { code, stderr } = await run(command.split(' '), { environment: { ...lowCost, DATA_DIR: directory } })
      expect(code).toBe(1)
      expect(stderr).toContain('is the data directory of a PostgreSQL server')
      expect(pathsIn(directory)).toEqual(['PG_VERSION'])
    }
  })

  test('if the embedded database would be opened on the files of a PostgreSQL server', async () => {
    const directory = emptyDirectory()
    makeServerCluster(join(directory, 'data/postgresql'))
    const before = pathsIn(directory)
    for (const command of ['serve', 'migrate', 'user list']) {
      const { code, stderr } = await run(command.split(' '), { directory, environment: lowCost })
      expect(code).toBe(1)
      expect(stderr).toContain('contains the data directory of a PostgreSQL server')
      expect(pathsIn(directory)).toEqual(before)
    }
  })

  test('if it is the folder of the embedded database itself, with the right one', async () => {
    const directory = emptyDirectory()
    await (await serve({ directory, environment: lowCost })).stop()
    const before = pathsIn(directory)
    const environment = { ...lowCost, DATA_DIR: join(directory, 'data/postgresql') }
    const { code, stderr } = await run([], { environment })
    expect(code).toBe(1)
    expect(stderr).toContain(`is the embedded database itself. Set it to ${JSON.stringify(join(directory, 'data'))}`)
    expect(pathsIn(directory)).toEqual(before)
    await (await serve({ directory, environment: lowCost })).stop()
  })
})
