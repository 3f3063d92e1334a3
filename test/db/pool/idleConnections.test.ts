import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import type { Connection } from '../../../src/db/pool/connection.ts'
import { openPool, type Pool } from '../../../src/db/pool/pool.ts'
import { type FaultProxy, startFaultProxy } from '../../faults/faultProxy.ts'
import { createDatabase } from '../../postgresql.ts'

let url: URL
let proxy: FaultProxy
let pool: Pool
const clock = { ahead: 0 }

/** Opens a pool with all of its connections open. */
async function openAll(): Promise<void> {
  pool = openPool(
    { kind: 'server', address: parseDatabaseUrl(url.href), poolSize: 4 },
    undefined,
    () => performance.now() + clock.ahead,
  )
  while (pool.state().connections < 4)
    await Promise.all([...Array.from({ length: 3 }, () => pool.run(sleep)), pool.read(sleep)])
}

const sleep = async ({ client }: Connection) => client`SELECT pg_sleep(0.05)`
const processOf = async ({ client }: Connection) => Number((await client`SELECT pg_backend_pid() AS id`)[0]?.id)

beforeAll(async () => {
  url = new URL(await createDatabase())
  proxy = await startFaultProxy(Number(url.port))
  url.port = String(proxy.port)
})
afterEach(() => pool.close())
afterAll(() => proxy.stop())

describe('a connection that was idle for more than five seconds', () => {
  test('is used again if it responds to a check', async () => {
    await openAll()
    const reader = await pool.read(processOf)
    clock.ahead += 6000
    await Promise.all([pool.run(processOf), pool.run(processOf), pool.run(processOf)])
    expect(await pool.read(processOf)).toBe(reader)
    expect(pool.state()).toMatchObject({ connections: 4, opened: 4 })
  })

  test('is replaced before a change or a read if the network has dropped it without a word', async () => {
    await openAll()
    proxy.forget()
    clock.ahead += 6000
    let executions = 0
    const operations = Array.from({ length: 6 }, (_, index) => {
      const work = (connection: Connection) => {
        executions++
        return processOf(connection)
      }
      return index % 2 === 0 ? pool.run(work) : pool.read(work)
    })
    // On a dropped connection, an operation would fail after four seconds.
    await Promise.all(operations)
    expect(executions).toBe(6)
  })

  test('is discarded together with the others if the server is gone', async () => {
    await openAll()
    proxy.forget()
    proxy.be('close')
    clock.ahead += 6000
    const code = await pool.run(processOf).catch((error) => error.code)
    expect(code).toBe('unavailable')
    proxy.be('pass')
    while ((await pool.run(processOf).catch(() => 0)) === 0) await Bun.sleep(10)
  })
})

test('a connection that was idle for less than five seconds is used at once', async () => {
  await openAll()
  let executions = 0
  const work = (connection: Connection) => {
    executions++
    return processOf(connection)
  }
  clock.ahead += 4000
  const first = pool.run(work)
  expect(executions).toBe(1)
  await first
  clock.ahead += 6000
  const second = pool.run(work)
  expect(executions).toBe(1)
  await second
})
