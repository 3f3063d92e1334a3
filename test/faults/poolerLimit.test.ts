import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'
import { reachesConnectionLimit } from '../../src/db/failure.ts'
import { openPool } from '../../src/db/pool/pool.ts'
import { fillPrimary } from '../db/hosts/fullPrimary.ts'
import { freePort, type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { startPooler } from './pooler.ts'

describe.skipIf(!hasProgram('pgbouncer', 'pgbouncer'))('a PgBouncer that has no connection left', () => {
  const closing: (() => unknown)[] = []
  let server: PostgresqlServer

  beforeEach(async () => {
    server = await startServer(['fsync=off'])
    closing.push(server.stop)
  }, 60_000)

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  }, 60_000)

  /** Returns the address of a pooler that takes so many clients, alone or with another host. */
  async function start(clients: number, isAlone: boolean) {
    const pooler = await startPooler(server.port, [`max_client_conn = ${clients}`])
    closing.push(pooler.stop)
    const hosts = [pooler.port, ...(isAlone ? [] : [await freePort()])].map((port) => `127.0.0.1:${port}`)
    return parseDatabaseUrl(`postgresql://postgres@${hosts.join(',')}/postgres?pgbouncer=true`)
  }

  test('stays the primary of several hosts while a connection to it is open', async () => {
    const address = await start(2, true)
    const { failure, primary } = await fillPrimary(address, true, closing)
    expect(reachesConnectionLimit(failure)).toBe(true)
    expect(failure.message).toContain('raise its max_client_conn, or lower DATABASE_POOL_SIZE')
    expect(primary).toBe(address)
  })

  test.each([
    ['one', true],
    ['several', false],
  ])('serves a pool of four over the only connection it grants, with %s in DATABASE_URL', async (_which, isAlone) => {
    const failures: string[] = []
    const note = { failed: ({ message }: Error) => failures.push(message), succeeded() {}, fenced() {} }
    const pool = openPool({ kind: 'server', address: await start(1, isAlone), poolSize: 4 }, note)
    closing.push(pool.close)
    for (let round = 0; round < 5; round++) {
      const changes = Array.from({ length: 8 }, () => pool.run(({ client }) => client`SELECT 1 AS one`))
      const reads = Array.from({ length: 8 }, () => pool.read(({ client }) => client`SELECT 1 AS one`))
      const rows = await Promise.all([...changes, ...reads])
      expect(rows.map(([row]) => row?.one)).toEqual(rows.map(() => 1))
    }
    expect(failures).toEqual([])
  })
})
