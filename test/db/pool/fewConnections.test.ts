import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import type { Connection } from '../../../src/db/pool/connection.ts'
import { openPool, type Pool } from '../../../src/db/pool/pool.ts'
import { until } from '../../condition.ts'
import { createDatabase } from '../../postgresql.ts'

const role = `few_${crypto.randomUUID().replaceAll('-', '')}`
let url: string
let own: postgres.Sql
const pools: Pool[] = []

/** Opens a pool of four that the role may have `limit` connections for. */
async function open(limit: number, poolSize = 4): Promise<Pool> {
  for (const pool of pools.splice(0)) await pool.close()
  await own.unsafe(`ALTER ROLE ${role} CONNECTION LIMIT ${limit}`)
  while ((await connectionsOfRole()) > 0) {}
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize })
  pools.push(pool)
  return pool
}

const connectionsOfRole = async () =>
  Number((await own`SELECT count(*) FROM pg_stat_activity WHERE usename = ${role}`)[0]?.count)
const processOf = async ({ client }: Connection) =>
  Number((await client`SELECT pg_backend_pid() AS id, pg_sleep(0.002)`)[0]?.id)
const insert = async ({ client }: Connection) =>
  client.begin(async (transaction) => {
    await transaction`INSERT INTO notes DEFAULT VALUES`
    await transaction`SELECT pg_sleep(0.002)`
    await transaction`DELETE FROM notes`
  })

beforeAll(async () => {
  const administrationUrl = await createDatabase()
  own = postgres(administrationUrl, { max: 1, onnotice: () => {} })
  await own.unsafe(`CREATE ROLE ${role} LOGIN`)
  await own`CREATE TABLE notes (id serial)`
  await own.unsafe(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`)
  await own.unsafe(`GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${role}`)
  const user = new URL(administrationUrl)
  user.username = role
  url = user.href
})

afterAll(async () => {
  for (const pool of pools) await pool.close()
  await own.unsafe(`DROP OWNED BY ${role}`)
  await own.unsafe(`DROP ROLE ${role}`)
  await own.end()
})

describe.each([1, 2])('a pool of four that is granted %d', (limit) => {
  test('serves reads and changes at once, whichever comes first', async () => {
    for (const first of ['reads', 'changes', 'both'] as const) {
      const pool = await open(limit)
      if (first !== 'changes') await pool.read(processOf)
      if (first !== 'reads') await Promise.all([pool.run(insert), pool.run(insert), pool.run(insert)])
      for (let group = 0; group < 5; group++) {
        const operations = Array.from({ length: 60 }, (_, index) =>
          index % 3 === 0 ? pool.run(insert) : pool.read(processOf),
        )
        await Promise.all(operations)
        expect(await connectionsOfRole()).toBeLessThanOrEqual(limit)
      }
    }
  })

  test('never reads inside the transaction of another operation', async () => {
    const pool = await open(limit)
    const isSeen = () => pool.read(async ({ client }) => (await client`SELECT FROM notes`).length > 0)
    const changes = Array.from({ length: 20 }, () => pool.run(insert))
    const seen = new Set<boolean>()
    const reads = Array.from({ length: 20 }, async () => {
      for (let count = 0; count < 10; count++) seen.add(await isSeen())
    })
    await Promise.all(reads)
    expect(seen).toEqual(new Set([false]))
    await Promise.all(changes)
  })

  test('starves neither changes under a stream of reads nor reads under a stream of changes', async () => {
    const pool = await open(limit)
    let isOver = false
    const stream = async (operation: () => Promise<unknown>) => {
      while (!isOver) await operation()
    }
    for (const [busy, other] of [
      [() => pool.read(processOf), () => pool.run(insert)],
      [() => pool.run(insert), () => pool.read(processOf)],
    ] as const) {
      isOver = false
      const streams = Array.from({ length: 60 }, () => stream(busy))
      for (let count = 0; count < 5; count++) await other()
      isOver = true
      await Promise.all(streams)
    }
  })

  test('replaces its connections when the server ends them', async () => {
    const pool = await open(limit)
    for (let round = 0; round < 3; round++) {
      await Promise.all([pool.run(insert), pool.run(insert), pool.read(processOf)])
      await own`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = ${role}`
      await Bun.sleep(50)
    }
    await Promise.all([pool.run(insert), pool.read(processOf)])
  })
})

describe('a pool that is granted fewer connections at first', () => {
  test('gives reads a connection of their own once the limit is raised', async () => {
    const pool = await open(1)
    expect(await pool.read(processOf)).toBe(await pool.run(processOf))
    await own.unsafe(`ALTER ROLE ${role} CONNECTION LIMIT -1`)
    const isApart = async () => (await pool.read(processOf)) !== (await pool.run(processOf))
    while (!(await isApart())) await Bun.sleep(10)
  })

  test('rejects only if it has none at all', async () => {
    const pool = await open(0)
    const errorOf = (operation: Promise<unknown>) => operation.catch(({ code, message }) => ({ code, message }))
    // Not because of the time limit of an operation.
    const error = { code: 'unavailable', message: expect.not.stringContaining('in time') }
    expect(await Promise.all([errorOf(pool.read(processOf)), errorOf(pool.run(insert))])).toEqual([error, error])
    await own.unsafe(`ALTER ROLE ${role} CONNECTION LIMIT 1`)
    await until(async () => Number.isInteger(await errorOf(pool.read(processOf))))
    await pool.run(insert)
  })
})
