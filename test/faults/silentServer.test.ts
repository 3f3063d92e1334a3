import { afterAll, beforeAll, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'
import { openPool } from '../../src/db/pool/pool.ts'
import { createDatabase } from '../postgresql.ts'
import { type FaultProxy, startFaultProxy } from './faultProxy.ts'

let proxy: FaultProxy
let url: URL
let direct: string

beforeAll(async () => {
  direct = await createDatabase()
  url = new URL(direct)
  proxy = await startFaultProxy(Number(url.port))
  url.port = String(proxy.port)
})
afterAll(() => proxy?.stop())

test.each(['disable', 'prefer'])(
  'pool: an attempt that a silent server never responds to does not delay the next for long (sslmode=%s)',
  async (sslmode) => {
    const address = parseDatabaseUrl(`${url}?sslmode=${sslmode}`)
    const pool = openPool({ kind: 'server', address, poolSize: 1 })
    proxy.be('pass')
    await pool.run(({ client }) => client`SELECT 1`)
    const administration = postgres(direct, { max: 1 })
    await administration`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()`
    await administration.end()
    while (pool.state().connections > 0) await Bun.sleep(5)
    proxy.be('hang')
    const dialed = proxy.connections
    const first = pool.run(({ client }) => client`SELECT 1`).catch(({ message }) => message)
    while (proxy.connections === dialed) await Bun.sleep(5)
    proxy.be('pass')
    // The attempt has ended, and not the four seconds of the operation.
    expect(await first).toContain('does not respond')
    expect(await pool.run(({ client }) => client`SELECT 1`)).toHaveLength(1)
    await pool.close()
  },
)
