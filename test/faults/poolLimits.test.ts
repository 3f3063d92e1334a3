import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'
import { openPool, type Pool } from '../../src/db/pool/pool.ts'
import type { AppError } from '../../src/error.ts'
import { createDatabase } from '../postgresql.ts'

/** Returns the value of an operation, or the code and message of its error. */
const outcomeOf = (operation: Promise<unknown>) =>
  operation.catch((error: AppError) => ({ code: error.code, message: error.message }))

let url: string
let own: postgres.Sql
const pools: Pool[] = []

function open(poolSize: number): Pool {
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize })
  pools.push(pool)
  return pool
}

const processOf = (pool: Pool) =>
  pool.run(async ({ client }) => Number((await client`SELECT pg_backend_pid() AS id`)[0]?.id))

beforeAll(async () => {
  url = await createDatabase()
  own = postgres(url, { max: 1, onnotice: () => {} })
})

afterAll(async () => {
  for (const pool of pools) await pool.close()
  await own.end()
})

describe('pool', () => {
  test('an operation that takes too long fails, and its connection is discarded', async () => {
    const pool = open(2)
    const before = await processOf(pool)
    const stuck = pool.run(async ({ client }) => {
      // Otherwise the server would cancel the statement first.
      await client`SET statement_timeout = 0`
      await client`SELECT pg_sleep(20)`
    })
    expect(await outcomeOf(stuck)).toMatchObject({ code: 'unavailable' })
    expect(await processOf(pool)).not.toBe(before)
  })

  test('a statement that takes too long is canceled by the server, and the connection is kept', async () => {
    const pool = open(2)
    const before = await processOf(pool)
    const slow = pool.run(async ({ client }) => client`SELECT pg_sleep(20)`)
    expect(await outcomeOf(slow)).toMatchObject({ code: 'unavailable', message: expect.stringContaining('57014') })
    expect(await processOf(pool)).toBe(before)
  })

  test('never has more than ten connections, however many are discarded', async () => {
    const pool = open(10)
    const hold = () => outcomeOf(pool.run(async ({ client }) => client`SELECT pg_sleep(0.5)`))
    await Promise.all([...Array.from({ length: 20 }, hold), pool.read(async ({ client }) => client`SELECT 1`)])
    const [row] = await own`
      SELECT count(*) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'audittrail' AND pid <> pg_backend_pid()`
    expect(Number(row?.count)).toBeLessThanOrEqual(10 + 2 * (pools.length - 1))
  })
})
