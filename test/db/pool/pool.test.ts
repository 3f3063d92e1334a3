import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import type { DatabaseTarget } from '../../../src/db/pool/connection.ts'
import { openPool, type Pool } from '../../../src/db/pool/pool.ts'
import type { AppError } from '../../../src/error.ts'
import { createDatabase } from '../../postgresql.ts'

/** Returns the value of an operation, or the code and message of its error. */
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

/** Resolves once the server process runs a statement. */
async function isActive(pid: number): Promise<void> {
  while ((await own`SELECT FROM pg_stat_activity WHERE pid = ${pid} AND state = 'active'`).length === 0) {}
}

beforeAll(async () => {
  url = await createDatabase()
  own = postgres(url, { max: 1, onnotice: () => {} })
  await own`CREATE TABLE notes (word text PRIMARY KEY)`
})

afterAll(async () => {
  for (const pool of pools) await pool.close()
  await own.end()
})

describe('pool', () => {
  test('queues 1,024 operations and rejects the next at once', async () => {
    const pool = open(2)
    await processOf(pool)
    await own`SELECT pg_advisory_lock(1)`
    const holding = pool.run(async ({ client }) => client`SELECT pg_advisory_xact_lock(1)`)
    const query = () => outcomeOf(pool.run(async () => 1))
    const waiting = Array.from({ length: 1024 }, query)
    expect(await query()).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('Too many operations'),
    })
    await own`SELECT pg_advisory_unlock(1)`
    await holding
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([1]))
  })

  test('replaces a lost connection and retries a lost read', async () => {
    const pool = open(2)
    const readProcess = () =>
      pool.read(async ({ client }) =>
        Number((await client`SELECT pg_backend_pid() AS id, pg_advisory_xact_lock(1)`)[0]?.id),
      )
    const first = await readProcess()
    await own`SELECT pg_advisory_lock(1)`
    const reading = readProcess()
    await isActive(first)
    await own`SELECT pg_terminate_backend(${first})`
    await own`SELECT pg_advisory_unlock(1)`
    expect(await reading).not.toBe(first)
  })

  test('reports no outage when concurrent changes roll a transaction back', async () => {
    const reported: string[] = []
    const address = parseDatabaseUrl(url)
    const pool = openPool(
      { kind: 'server', address, poolSize: 2 },
      { failed: ({ message }) => reported.push(message), succeeded() {}, fenced() {} },
    )
    pools.push(pool)
    const raise = (code: string) =>
      outcomeOf(pool.run(({ client }) => client.unsafe(`DO $$BEGIN RAISE SQLSTATE '${code}'; END$$`)))
    for (const code of ['40001', '40P01']) expect(await raise(code)).toMatchObject({ code: 'unavailable' })
    expect(reported).toEqual([])
    await raise('53100')
    expect(reported).toHaveLength(1)
  })
})

describe('transaction', () => {
  const insert = (pool: Pool, word: string, then: () => Promise<unknown>) =>
    pool.run(({ client }) =>
      client.begin(async (transaction) => {
        await transaction`INSERT INTO notes VALUES (${word})`
        await then()
        await transaction`INSERT INTO notes VALUES (${`${word}, later`})`
      }),
    )
  const words = async () => (await own`SELECT word FROM notes ORDER BY word`).map(({ word }) => word)

  test('commits all of its changes', async () => {
    await insert(open(2), 'kept', async () => {})
    expect(await words()).toEqual(['kept', 'kept, later'])
  })

  test('rolls back if the callback throws, and keeps the connection', async () => {
    const pool = open(2)
    const before = await processOf(pool)
    expect(await outcomeOf(insert(pool, 'thrown', () => Promise.reject(new Error('no'))))).toMatchObject({
      code: 'internal',
    })
    expect(await words()).toEqual(['kept', 'kept, later'])
    expect(await processOf(pool)).toBe(before)
  })

  test('rejects if a statement failed, even if the callback ignored it', async () => {
    const outcome = open(2).run(({ client }) =>
      client.begin(async (transaction) => {
        await transaction`INSERT INTO notes VALUES ('kept')`.catch(() => {})
      }),
    )
    expect(await outcomeOf(outcome)).toMatchObject({ code: 'internal' })
  })

  test('leaves no change if its connection is lost, and does not continue on another', async () => {
    const pool = open(2)
    const id = await processOf(pool)
    const lost = insert(pool, 'lost', async () => {
      await own`SELECT pg_terminate_backend(${id})`
      while ((await own`SELECT FROM pg_stat_activity WHERE pid = ${id}`).length > 0) {}
    })
    expect(await outcomeOf(lost)).toMatchObject({ code: 'unavailable' })
    expect(await processOf(pool)).not.toBe(id)
    expect(await words()).toEqual(['kept', 'kept, later'])
  })
})
