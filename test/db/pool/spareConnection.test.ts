import { afterEach, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import { until } from '../../condition.ts'
import { createDatabase } from '../../postgresql.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function open(poolSize: number) {
  const url = await createDatabase()
  const own = postgres(url, { max: 1, onnotice: () => {} })
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize })
  closing.push(pool.close, () => own.end())
  const backends = async () =>
    (await own`SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'audittrail'`)
      .length
  return { pool, backends }
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    ({ code }) => code,
  )

describe('the spare connection of a pool', () => {
  test('is one, and another may be opened after it has ended', async () => {
    const { pool } = await open(2)
    const opening = [pool.openSpare(), pool.openSpare()]
    expect(await Promise.all(opening.map(codeOf))).toEqual([undefined, 'unavailable'])
    expect(await codeOf(pool.openSpare())).toBe('unavailable')
    await (await opening[0])?.end()
    expect(await codeOf(pool.openSpare())).toBeUndefined()
  })

  test.each([1, 2, 4])('leaves a pool of %d all of its connections, and stays within two more', async (poolSize) => {
    const { pool, backends } = await open(poolSize)
    const spare = await pool.openSpare()
    const working = spare.client`SELECT pg_sleep(1)`.execute()
    for (let round = 0; round < 5; round++) {
      await Promise.all(Array.from({ length: 12 }, () => pool.run(({ client }) => client`SELECT pg_sleep(0.001)`)))
      // Each loses its connection, which is replaced.
      await Promise.all(
        [1, 2, 3].map(() => codeOf(pool.run(({ client }) => client`SELECT pg_terminate_backend(pg_backend_pid())`))),
      )
      // PostgreSQL lists a process until its exit is complete.
      await until(async () => (await backends()) <= poolSize + 2)
    }
    await working
    await spare.end()
  })

  test('ends with the pool, and the statement in progress with it', async () => {
    const { pool, backends } = await open(1)
    const spare = await pool.openSpare()
    const working = codeOf(spare.client`SELECT pg_sleep(30)`.execute())
    await pool.close()
    // Either the connection ends first, or the statement is canceled on the server.
    expect(['CONNECTION_DESTROYED', '57014']).toContain(await working)
    while ((await backends()) > 0) {}
  })
})
