import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import type { Connection } from '../../../src/db/pool/connection.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import { createDatabase } from '../../postgresql.ts'

test.each([2, 4])(
  'pool of %d: a change that waits does not hold up reads after its lane lost its connection',
  async (poolSize) => {
    const url = await createDatabase()
    const locker = postgres(url, { max: 1, onnotice: () => {} })
    const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize })
    const read = () => pool.read(({ client }) => client`SELECT 1 AS one`)
    const processOf = async ({ client }: Connection) => (await client`SELECT pg_backend_pid() AS id`)[0]?.id
    while ((await pool.read(processOf)) === (await pool.run(processOf))) await Bun.sleep(1)
    while (pool.state().connections > 1)
      await pool.run(({ client }) => client`SELECT pg_terminate_backend(pg_backend_pid())`).catch(() => {})
    await locker`SELECT pg_advisory_lock(1)`
    let isOver = false
    const change = pool
      .run(({ client }) => client`SELECT pg_advisory_xact_lock(1)`, 'unlimited')
      .finally(() => {
        isOver = true
      })
    for (let count = 0; count < 20; count++) expect((await read())[0]?.one).toBe(1)
    expect(isOver).toBe(false)
    await locker`SELECT pg_advisory_unlock(1)`
    await change
    await pool.close()
    await locker.end()
  },
)
