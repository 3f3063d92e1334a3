import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import type { DatabaseTarget } from '../../../src/db/pool/connection.ts'
import { openPool, type Pool } from '../../../src/db/pool/pool.ts'
import type { AppError } from '../../../src/error.ts'
import { createDatabase } from '../../postgresql.ts'

/** What an operation came to: its value, or the word and the text of its error. */
const outcomeOf = (operation: Promise<unknown>) =>
  operation.catch((error: AppError) => ({ code: error.code, message: error.message }))

let url: string
let own: postgres.Sql
const pools: Pool[] = []

function open(poolSize: number): Pool {
  const target: DatabaseTarget = { kind: 'server', address: parseDatabaseUrl(url), poolSize }
  const pool = openPool(target)
  pools.push(pool)
  return pool
}

const processOf = (pool: Pool) =>
  pool.run(async ({ client }) => Number((await client`SELECT pg_backend_pid() AS id`)[0]?.id))

beforeAll(async () => {
  url = await createDatabase()
  own = postgres(url, { max: 1, onnotice: () => {} })
  await own`CREATE TABLE notes (word text PRIMARY KEY)`
})

afterAll(async () => {
  for (const pool of pools) await pool.close()
  await own.end()
})

describe('a pool', () => {
  test('lets 1,024 operations wait, and refuses the next at once', async () => {
    const pool = open(2)
    await processOf(pool)
    const holding = pool.run(async ({ client }) => client`SELECT pg_sleep(0.7)`)
    const began = performance.now()
    const ask = () => outcomeOf(pool.run(async ({ client }) => (await client`SELECT 1 AS one`)[0]?.one))
    const waiting = Array.from({ length: 1024 }, ask)
    expect(await ask()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('Too many operations') })
    expect(performance.now() - began).toBeLessThan(500)
    await holding
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([1]))
  })

  test('replaces a connection that was ended, and asks a lost read again', async () => {
    const pool = open(2)
    const readProcess = () =>
      pool.read(async ({ client }) => Number((await client`SELECT pg_backend_pid() AS id, pg_sleep(0.3)`)[0]?.id))
    const first = await readProcess()
    const reading = readProcess()
    await Bun.sleep(100)
    await own`SELECT pg_terminate_backend(${first})`
    expect(await reading).not.toBe(first)
  })

  test('gives up what takes too long, and the connection with it', async () => {
    const pool = open(2)
    const before = await processOf(pool)
    const began = performance.now()
    const stuck = pool.run(async ({ client }) => {
      // Its own limit would be the server's.
      await client`SET statement_timeout = 0`
      await client`SELECT pg_sleep(20)`
    })
    expect(await outcomeOf(stuck)).toMatchObject({ code: 'unavailable' })
    expect(performance.now() - began).toBeLessThan(4500)
    expect(await processOf(pool)).not.toBe(before)
  })

  test('has the server leave a statement that takes too long, and keeps the connection', async () => {
    const pool = open(2)
    const before = await processOf(pool)
    const slow = pool.run(async ({ client }) => client`SELECT pg_sleep(20)`)
    expect(await outcomeOf(slow)).toMatchObject({ code: 'unavailable', message: expect.stringContaining('57014') })
    expect(await processOf(pool)).toBe(before)
  })

  test('has no more than ten connections, whatever is abandoned', async () => {
    const pool = open(10)
    const hold = () => outcomeOf(pool.run(async ({ client }) => client`SELECT pg_sleep(0.5)`))
    await Promise.all([...Array.from({ length: 20 }, hold), pool.read(async ({ client }) => client`SELECT 1`)])
    const [row] = await own`
      SELECT count(*) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'audittrail' AND pid <> pg_backend_pid()`
    expect(Number(row?.count)).toBeLessThanOrEqual(10 + 2 * (pools.length - 1))
  })
})

describe('a transaction', () => {
  const insert = (pool: Pool, word: string, then: () => Promise<unknown>) =>
    pool.run(({ client }) =>
      client.begin(async (transaction) => {
        await transaction`INSERT INTO notes VALUES (${word})`
        await then()
        await transaction`INSERT INTO notes VALUES (${`${word}, later`})`
      }),
    )
  const words = async () => (await own`SELECT word FROM notes ORDER BY word`).map(({ word }) => word)

  test('is committed whole', async () => {
    await insert(open(2), 'kept', async () => {})
    expect(await words()).toEqual(['kept', 'kept, later'])
  })

  test('is rolled back by what is thrown inside, and the connection goes on', async () => {
    const pool = open(2)
    const before = await processOf(pool)
    expect(await outcomeOf(insert(pool, 'thrown', () => Promise.reject(new Error('no'))))).toMatchObject({
      code: 'internal',
    })
    expect(await words()).toEqual(['kept', 'kept, later'])
    expect(await processOf(pool)).toBe(before)
  })

  test('whose error was swallowed does not look committed', async () => {
    const outcome = open(2).run(({ client }) =>
      client.begin(async (transaction) => {
        await transaction`INSERT INTO notes VALUES ('kept')`.catch(() => {})
      }),
    )
    expect(await outcomeOf(outcome)).toMatchObject({ code: 'internal' })
  })

  test('whose connection is ended in its middle leaves nothing behind, and nothing goes on elsewhere', async () => {
    const pool = open(2)
    const id = await processOf(pool)
    const lost = insert(pool, 'lost', async () => {
      await own`SELECT pg_terminate_backend(${id})`
      await Bun.sleep(200)
    })
    expect(await outcomeOf(lost)).toMatchObject({ code: 'unavailable' })
    expect(await processOf(pool)).not.toBe(id)
    expect(await words()).toEqual(['kept', 'kept, later'])
  })
})
