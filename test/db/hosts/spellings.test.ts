import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { dirname } from 'node:path'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import { freePort, type PostgresqlServer, startServer } from '../../postgresqlServer.ts'
import { hasProgram } from '../../requirements.ts'

const hasPsql = hasProgram('psql', 'postgresql-client')
/** Debian's `psql` is a wrapper that sets a host. */
const [psql = 'psql'] = [...new Bun.Glob('/usr/lib/postgresql/*/bin/psql').scanSync('/')]

/**
 * P: the port of the primary, S: of its standby, N: where nothing listens, D: a socket directory.
 */
const spellings = [
  'postgresql://postgres@127.0.0.1:S,127.0.0.1:P/postgres',
  'postgres://postgres@127.0.0.1:P,127.0.0.1:S/postgres',
  'postgresql://postgres:secret@127.0.0.1:N,127.0.0.1:S,127.0.0.1:P/postgres',
  'postgresql://127.0.0.1:S,127.0.0.1:P/postgres?user=postgres',
  'postgresql://postgres@127.0.0.1,localhost:P/postgres',
  'postgresql://postgres@localhost:S,localhost:P/postgres',
  'postgresql://postgres@[::1]:N,127.0.0.1:P/postgres',
  'postgresql://postgres@/postgres?host=127.0.0.1,127.0.0.1&port=S,P',
  'postgresql://postgres@/postgres?host=127.0.0.1,localhost&port=P',
  'postgresql://postgres@127.0.0.1,localhost/postgres?port=P',
  'postgresql://postgres@127.0.0.1:S,localhost:S/postgres?port=S,P',
  'postgresql://postgres@other.invalid:S/postgres?host=127.0.0.1,127.0.0.1&port=S,P',
  'postgresql:///postgres?host=127.0.0.1&host=127.0.0.1,127.0.0.1&port=S,P&user=postgres',
  'postgresql://postgres@one.invalid:S,two.invalid:P/postgres?hostaddr=127.0.0.1,127.0.0.1',
  'postgresql://postgres@/postgres?hostaddr=127.0.0.1,127.0.0.1&port=S,P',
  'postgresql://postgres@localhost,localhost/postgres?hostaddr=127.0.0.1,&port=S,P',
  'postgresql://postgres@127.0.0.1%2Clocalhost:P/postgres',
  'postgresql://postgres@D:P,127.0.0.1:S/postgres',
  'postgresql://postgres@127.0.0.1:S,D:P/postgres',
  'postgresql://postgres@/postgres?host=127.0.0.1,D&port=S,P',
  'postgresql://postgres@%40audittrail-test-nothing,127.0.0.1:P/postgres',
  'postgresql://postgres@,127.0.0.1:P/postgres',
  'postgresql://postgres@127.0.0.1:P,/postgres',
  'postgresql://postgres@:N,127.0.0.1:P/postgres',
  'postgresql://postgres@127.0.0.1:,127.0.0.1:P/postgres',
  'postgresql://postgres@127.0.0.1:S,127.0.0.1:S,127.0.0.1:P/postgres?target_session_attrs=read-write',
  'postgresql://postgres@127.0.0.1:S,127.0.0.1:P?dbname=postgres&target_session_attrs=primary',
  'postgresql://127.0.0.1:S,127.0.0.1:P/nothing?dbname=postgres&user=postgres&connect_timeout=5',
  'postgresql://nobody@127.0.0.1:S,127.0.0.1:P/postgres?user=postgres&sslmode=prefer',
  'postgresql://%70ostgres@127.0.0.1:S,%31%32%37.0.0.1:P/postgres?load_balance_hosts=disable',
  'postgresql://postgres@127.0.0.1:S,127.0.0.1:0P/postgres?port=S,%20P%20',
  'postgresql://postgres@unknown.invalid,127.0.0.1/postgres?port=N,P',
]

describe.skipIf(!hasPsql)('several hosts in DATABASE_URL', () => {
  let primary: PostgresqlServer
  let standby: PostgresqlServer
  let unused: number

  beforeAll(async () => {
    primary = await startServer()
    standby = await primary.startStandby()
    unused = await freePort()
  }, 60_000)
  afterAll(async () => {
    await standby?.stop()
    await primary?.stop()
  })

  test.each(spellings)('lead to the same server as psql does: %s', async (spelling) => {
    const url = spelling
      .replace(/\bP\b|(?<=0)P/g, String(primary.port))
      .replace(/\bS\b/g, String(standby.port))
      .replace(/\bN\b/g, String(unused))
      .replace(/\bD\b/g, encodeURIComponent(dirname(primary.data)))
    expect(await portByPsql(url)).toBe(primary.port)
    expect(await portByPool(url)).toBe(primary.port)
  })

  test('the standby of these tests streams from the primary', async () => {
    const client = postgres(standby.url, { max: 1 })
    expect(await client`SELECT status FROM pg_stat_wal_receiver`).toEqual([{ status: 'streaming' }] as never)
    await client.end()
  })
})

async function portByPsql(url: string): Promise<number> {
  const { PATH = '' } = process.env
  // psql 15 does not know the parameter.
  const known = url.replace('&load_balance_hosts=disable', '').replace('?load_balance_hosts=disable', '')
  const client = Bun.spawn([psql, '-XAtw', '-c', 'SHOW port', known], {
    env: { PATH, PGTARGETSESSIONATTRS: 'read-write' },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors] = await Promise.all([new Response(client.stdout).text(), new Response(client.stderr).text()])
  if ((await client.exited) !== 0) throw new Error(errors)
  return Number(output)
}

async function portByPool(url: string): Promise<number> {
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize: 1 })
  try {
    const [row] = await pool.run(({ client }) => client`SHOW port`)
    return Number(row?.port)
  } finally {
    await pool.close()
  }
}
