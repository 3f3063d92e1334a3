import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { type EmbeddedDatabase, openEmbedded } from '../../../src/db/embedded/engine.ts'

const root = mkdtempSync(join(tmpdir(), 'embedded-test-'))
const directory = join(root, 'deeper', 'database')
const failures: string[] = []
let database: EmbeddedDatabase

function connect(from: EmbeddedDatabase = database, options: object = {}): postgres.Sql {
  return postgres({
    socket: from.socket,
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    ...options,
  } as unknown as postgres.Options<Record<string, never>>)
}

async function using<T>(work: (sql: postgres.Sql) => Promise<T>, options: object = {}): Promise<T> {
  const sql = connect(database, options)
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

const code = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error) => error.code ?? error.message,
  )

function fill(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
}

beforeAll(async () => {
  mkdirSync(join(root, 'deeper', 'database.new-leftover'), { recursive: true })
  database = await openEmbedded(directory, { onFailure: (reason) => failures.push(reason) })
}, 30_000)

afterAll(async () => {
  await database.close()
  expect(failures).toEqual([])
  rmSync(root, { recursive: true, force: true })
})

describe('the directory', () => {
  test('is private, whole, and without leftovers of a crashed first start', () => {
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    for (const empty of ['pg_notify', 'pg_wal/archive_status', 'pg_twophase'])
      expect(existsSync(join(directory, empty))).toBe(true)
    expect(readdirSync(join(root, 'deeper'))).toEqual(['database'])
  })

  const refused: [string, (path: string) => void, RegExp][] = [
    ['a file', (path) => writeFileSync(path, 'x'), /Cannot use .*ENOTDIR/],
    ['of something else', (path) => fill(path, { 'notes.txt': 'x' }), /not empty and not a database/],
    ['of another version', (path) => fill(path, { PG_VERSION: '17\n', 'global/x': '' }), /written by PostgreSQL 17/],
    ['damaged', (path) => fill(path, { PG_VERSION: '18\n', 'global/x': '' }), /may be damaged/],
  ]
  test.each(refused)(
    '%s is refused in one line and left alone',
    async (name, make, message) => {
      const path = join(root, name.replaceAll(' ', '-'))
      make(path)
      const before = statSync(path).isDirectory() ? readdirSync(path) : readFileSync(path, 'utf8')
      const error = await openEmbedded(path, { onFailure: () => {} }).then(
        () => undefined,
        (reason: Error) => reason,
      )
      expect(error?.message).toMatch(message)
      expect(error?.message).toContain(path)
      expect(error?.message).not.toContain('\n')
      expect(statSync(path).isDirectory() ? readdirSync(path) : readFileSync(path, 'utf8')).toEqual(before)
    },
    20_000,
  )
})

describe('a session', () => {
  test('pipelines prepared statements', () =>
    using(async (sql) => {
      const rows = await Promise.all(Array.from({ length: 500 }, (_, i) => sql`SELECT ${i}::int AS i`))
      expect(rows.map(([row]) => row?.i)).toEqual(Array.from({ length: 500 }, (_, i) => i))
      const [version] = await sql`SHOW server_version_num`
      expect(version?.server_version_num).toStartWith('18')
    }))

  test('goes on after errors in every kind of query', () =>
    using(async (sql) => {
      const codes = await Promise.all([
        code(sql`SELECT 1/0`),
        code(sql`SELECT ${1}::int / 0`),
        code(sql`SELECT ${'x'}::int`),
        code(sql`SELECT nope`),
        code(sql.unsafe('SELECT 1; SELECT nope')),
        code(sql`SELECT ${2}::int`),
        code(sql`SELECT 1/0`),
      ])
      expect(codes).toEqual(['22012', '22012', '22P02', '42703', '42703', 'no error', '22012'])
    }))

  test(
    'carries large parameters, large results and cursors',
    () =>
      using(async (sql) => {
        const [row] = await sql`SELECT length(${'y'.repeat(3_000_000)}) AS n, repeat('x', 3000000) AS x`
        expect([row?.n, row?.x.length]).toEqual([3_000_000, 3_000_000])
        let seen = 0
        for await (const rows of sql`SELECT generate_series(1, 5000) AS i`.cursor(700)) seen += rows.length
        expect(seen).toBe(5000)
        expect((await sql`SELECT i FROM generate_series(1, 100000) i`).length).toBe(100_000)
      }),
    20_000,
  )

  test('has transactions, savepoints and advisory locks', () =>
    using(async (sql) => {
      await sql`CREATE TEMP TABLE t (i int)`
      const failed = sql.begin(async (tx) => {
        await tx`SELECT pg_advisory_xact_lock(42)`
        await tx`INSERT INTO t VALUES (1)`
        await tx`SELECT 1/0`
      })
      expect(await code(failed)).toBe('22012')
      await sql.begin(async (tx) => {
        await tx`INSERT INTO t VALUES (2)`
        await tx
          .savepoint(async (point) => {
            await point`INSERT INTO t VALUES (3)`
            await point`SELECT nope`
          })
          .catch(() => {})
      })
      expect([...(await sql`SELECT i FROM t`)]).toEqual([{ i: 2 }])
    }))

  test('takes settings at its start, and leaves nothing to the next one', async () => {
    const first = connect(database, { connection: { application_name: "it's", work_mem: '1MB' } })
    const [settings] =
      await first`SELECT current_setting('application_name') AS name, current_setting('work_mem') AS memory`
    expect(settings).toEqual({ name: "it's", memory: '1MB' })
    await first`CREATE TABLE left_open (i int)`
    await first`SELECT pg_advisory_lock(7)`
    await first`SET statement_timeout = 1234`
    await first.unsafe('BEGIN; INSERT INTO left_open VALUES (1)')
    await first.end({ timeout: 1 })
    await using(async (sql) => {
      const prepared = await sql.unsafe('SELECT count(*)::int AS n FROM pg_prepared_statements').simple()
      expect(prepared[0]?.n).toBe(0)
      expect((await sql`SELECT * FROM left_open`).length).toBe(0)
      expect((await sql`SELECT * FROM pg_locks WHERE locktype = 'advisory'`).length).toBe(0)
      expect((await sql`SHOW statement_timeout`)[0]).toEqual({ statement_timeout: '0' })
    })
  })

  test('starts clean after one that broke off in the middle of a failed batch', async () => {
    const raw = database.socket()
    raw.on('error', () => {})
    const startup = Buffer.from('\0\0\0\u0029\0\u0003\0\0user\0postgres\0database\0postgres\0\0', 'latin1')
    startup.writeInt32BE(startup.length)
    raw.write(startup.subarray(0, 11))
    raw.write(startup.subarray(11))
    raw.write(Buffer.from('P\0\0\0\u0010\0SELECT x\0\0\0H\0\0\0\u0004Q\0\0\0', 'latin1'))
    raw.destroy()
    await using(async (sql) => expect([...(await sql`SELECT 1 AS one`)]).toEqual([{ one: 1 }]))
  })

  test('waits for the one before it', async () => {
    const first = connect()
    await first`SELECT 1`
    const second = connect()
    const order: string[] = []
    const waiting = second`SELECT 2`.then(() => order.push('second'))
    await Bun.sleep(50)
    order.push('first')
    await first.end()
    await waiting
    await second.end()
    expect(order).toEqual(['first', 'second'])
  })

  test(
    'is replaced by postgres.js when its lifetime is over',
    () =>
      using(
        async (sql) => {
          const end = Date.now() + 2500
          for (let i = 0; Date.now() < end; i++) expect([...(await sql`SELECT ${i}::int AS i`)]).toEqual([{ i }])
        },
        { max_lifetime: 1 },
      ),
    10_000,
  )

  test('hears its own notifications', async () => {
    const heard: string[] = []
    await using(
      async (sql) => {
        await sql`LISTEN news`
        await sql`SELECT pg_notify('news', 'hello')`
      },
      { onnotify: (channel: string, text: string) => heard.push(`${channel} ${text}`) },
    )
    expect(heard).toEqual(['news hello'])
  })
})

describe('the engine', () => {
  test('never blocks the event loop', () =>
    using(async (sql) => {
      let ticks = 0
      const timer = setInterval(() => ticks++, 5)
      await sql`SELECT pg_sleep(0.4)`
      clearInterval(timer)
      expect(ticks).toBeGreaterThan(30)
    }))

  test('keeps what it acknowledged when the process is killed', async () => {
    const path = join(root, 'killed')
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'writer.ts'), path], {
      stdout: 'pipe',
      stderr: 'inherit',
    })
    setTimeout(() => child.kill('SIGKILL'), 2500)
    const acknowledged = (await new Response(child.stdout).text()).split('\n').slice(0, -1).map(Number)
    expect(acknowledged.length).toBeGreaterThan(0)
    const again = await openEmbedded(path, { onFailure: (reason) => failures.push(reason) })
    const sql = connect(again)
    const kept = new Set((await sql`SELECT id FROM written`).map((row) => row.id as number))
    await sql.end()
    await again.close()
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
  }, 30_000)

  test('closes with a checkpoint, twice if asked, and serves nobody after that', async () => {
    const path = join(root, 'closed')
    const short = await openEmbedded(path, { onFailure: (reason) => failures.push(reason) })
    const sql = connect(short)
    await sql`CREATE TABLE t ()`
    const started = performance.now()
    await Promise.all([short.close(), short.close()])
    await short.close()
    expect(performance.now() - started).toBeLessThan(2000)
    // The state in pg_control: 1 is a clean shutdown.
    expect(readFileSync(join(path, 'global/pg_control')).readUInt32LE(16)).toBe(1)
    expect(await code(sql`SELECT 1`)).toBe('CONNECTION_CLOSED')
  }, 20_000)

  test('reports once when it dies, and fails what was under way', async () => {
    const reasons: string[] = []
    const doomed = await openEmbedded(join(root, 'doomed'), { onFailure: (reason) => reasons.push(reason) })
    const sql = connect(doomed)
    await sql`CREATE TEMP TABLE c (i int)`
    // The engine cannot wait for the rows of a COPY, and exits.
    const outcomes = await Promise.all([code(sql`COPY c FROM STDIN`), code(sql`SELECT 1`)])
    expect(outcomes).toEqual(['CONNECTION_CLOSED', 'CONNECTION_CLOSED'])
    expect(reasons).toHaveLength(1)
    expect(await code(sql`SELECT 1`)).toBe('CONNECTION_CLOSED')
    await doomed.close()
    expect(reasons).toHaveLength(1)
  }, 20_000)

  test('is ended by the watchdog when it does not answer', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const stuck = await openEmbedded(join(root, 'stuck'), { onFailure: resolve })
    const sql = connect(stuck)
    const outcome = code(sql`SELECT pg_sleep(600)`)
    expect(await promise).toContain('did not answer')
    expect(await outcome).toBe('CONNECTION_CLOSED')
  }, 30_000)
})
