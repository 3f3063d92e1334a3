import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type EmbeddedDatabase, openEmbedded } from '../../../src/db/embedded/engine.ts'
import { temporaryDirectory } from '../../endOfFile.ts'
import { connect, errorCode } from './client.ts'

const root = temporaryDirectory('embedded-test')
const directory = join(root, 'deeper', 'database')
const failures: string[] = []
let database: EmbeddedDatabase

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

describe('data directory', () => {
  test('is private, complete, and without leftovers of a crashed first start', () => {
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    for (const empty of ['pg_notify', 'pg_wal/archive_status', 'pg_twophase'])
      expect(existsSync(join(directory, empty))).toBe(true)
    expect(readdirSync(join(root, 'deeper'))).toEqual(['database'])
  })

  const refused: [string, (path: string) => void, RegExp][] = [
    ['a file', (path) => writeFileSync(path, 'x'), /Cannot use .*ENOTDIR/],
    ['a directory of something else', (path) => fill(path, { 'notes.txt': 'x' }), /not empty and not a database/],
    [
      'a database of another version',
      (path) => fill(path, { PG_VERSION: '17\n', 'global/x': '' }),
      /written by PostgreSQL 17/,
    ],
    ['a damaged database', (path) => fill(path, { PG_VERSION: '18\n', 'global/x': '' }), /may be damaged/],
  ]
  test.each(refused)('%s is rejected with one line and left alone', async (name, make, message) => {
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
  })
})

describe('embedded engine', () => {
  test('does not block the event loop', async () => {
    const sql = connect(database)
    let ticks = 0
    const timer = setInterval(() => ticks++, 5)
    await sql`SELECT pg_sleep(1)`
    clearInterval(timer)
    await sql.end()
    // Blocked, it would tick once afterwards.
    expect(ticks).toBeGreaterThan(2)
  })

  test('closes with a checkpoint, may be closed twice, and then rejects connections', async () => {
    const path = join(root, 'closed')
    const short = await openEmbedded(path, { onFailure: (reason) => failures.push(reason) })
    const sql = connect(short)
    await sql`CREATE TABLE t ()`
    await Promise.all([short.close(), short.close()])
    await short.close()
    // The state in pg_control: 1 is a clean shutdown.
    expect(readFileSync(join(path, 'global/pg_control')).readUInt32LE(16)).toBe(1)
    expect(await errorCode(sql`SELECT 1`)).toBe('CONNECTION_CLOSED')
  })

  test('reports its failure once and fails the operations in progress', async () => {
    const reasons: string[] = []
    const doomed = await openEmbedded(join(root, 'doomed'), { onFailure: (reason) => reasons.push(reason) })
    const sql = connect(doomed)
    await sql`CREATE TEMP TABLE c (i int)`
    // The engine cannot wait for the rows of a COPY, and exits.
    const outcomes = await Promise.all([errorCode(sql`COPY c FROM STDIN`), errorCode(sql`SELECT 1`)])
    expect(outcomes).toEqual(['CONNECTION_CLOSED', 'CONNECTION_CLOSED'])
    expect(reasons).toHaveLength(1)
    expect(await errorCode(sql`SELECT 1`)).toBe('CONNECTION_CLOSED')
    await doomed.close()
    expect(reasons).toHaveLength(1)
  })
})
