import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type postgres from 'postgres'
import { type EmbeddedDatabase, openEmbedded } from '../../../src/db/embedded/engine.ts'
import { temporaryDirectory } from '../../endOfFile.ts'
import { connect, errorCode } from './client.ts'

const root = temporaryDirectory('embedded-session')
let database: EmbeddedDatabase

beforeAll(async () => {
  database = await openEmbedded(join(root, 'database'), {
    onFailure: (reason) => {
      throw new Error(reason)
    },
  })
}, 30_000)

afterAll(async () => {
  await database.close()
  rmSync(root, { recursive: true, force: true })
})

async function using<T>(work: (sql: postgres.Sql) => Promise<T>, options: object = {}): Promise<T> {
  const sql = connect(database, options)
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

describe('embedded session', () => {
  test('pipelines prepared statements', () =>
    using(async (sql) => {
      const rows = await Promise.all(Array.from({ length: 500 }, (_, i) => sql`SELECT ${i}::int AS i`))
      expect(rows.map(([row]) => row?.i)).toEqual(Array.from({ length: 500 }, (_, i) => i))
      const [version] = await sql`SHOW server_version_num`
      expect(version?.server_version_num).toStartWith('18')
    }))

  test('continues after errors in every kind of query', () =>
    using(async (sql) => {
      const codes = await Promise.all([
        errorCode(sql`SELECT 1/0`),
        errorCode(sql`SELECT ${1}::int / 0`),
        errorCode(sql`SELECT ${'x'}::int`),
        errorCode(sql`SELECT nope`),
        errorCode(sql.unsafe('SELECT 1; SELECT nope')),
        errorCode(sql`SELECT ${2}::int`),
        errorCode(sql`SELECT 1/0`),
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

  test('supports transactions, savepoints and advisory locks', () =>
    using(async (sql) => {
      await sql`CREATE TEMP TABLE t (i int)`
      const failed = sql.begin(async (tx) => {
        await tx`SELECT pg_advisory_xact_lock(42)`
        await tx`INSERT INTO t VALUES (1)`
        await tx`SELECT 1/0`
      })
      expect(await errorCode(failed)).toBe('22012')
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

  test('accepts startup settings and leaves no state to the next session', async () => {
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

  test('starts clean after a session that broke off during a failed batch', async () => {
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

  test('waits for the previous session', async () => {
    const first = connect(database)
    await first`SELECT 1`
    const second = connect(database)
    const order: string[] = []
    const waiting = second`SELECT 2`.then(() => order.push('second'))
    for (let round = 0; round < 5; round++) await first`SELECT 1`
    order.push('first')
    await first.end()
    await waiting
    await second.end()
    expect(order).toEqual(['first', 'second'])
  })

  test('receives its own notifications', async () => {
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
