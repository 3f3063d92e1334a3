import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { reachesConnectionLimit } from '../../../src/db/failure.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import { createDatabase } from '../../postgresql.ts'
import { freePort } from '../../postgresqlServer.ts'
import { fillPrimary } from './fullPrimary.ts'

const role = `limited_${crypto.randomUUID().replaceAll('-', '')}`
let url: string
let own: postgres.Sql

beforeAll(async () => {
  const administrationUrl = await createDatabase()
  own = postgres(administrationUrl, { max: 1, onnotice: () => {} })
  await own.unsafe(`CREATE ROLE ${role} LOGIN`)
  const user = new URL(administrationUrl)
  user.username = role
  url = user.href
})

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

beforeEach(async () => {
  for (let count = 1; count > 0; ) {
    const [row] = await own`SELECT count(*)::int FROM pg_stat_activity WHERE usename = ${role}`
    count = row?.count
  }
})

afterAll(async () => {
  await own.unsafe(`DROP ROLE ${role}`)
  await own.end()
})

describe('a primary of several hosts that has no connection left', () => {
  test('stays the primary while a connection to it is open', async () => {
    await own.unsafe(`ALTER ROLE ${role} CONNECTION LIMIT 2`)
    const address = parseDatabaseUrl(url)
    const { failure, primary } = await fillPrimary(address, false, closing)
    expect(reachesConnectionLimit(failure)).toBe(true)
    expect(primary).toBe(address)
  })

  test('grants the pool the connection that checked it', async () => {
    await own.unsafe(`ALTER ROLE ${role} CONNECTION LIMIT 1`)
    const { port, hostname } = new URL(url)
    const several = url.replace(`${hostname}:${port}`, `${hostname}:${port},${hostname}:${await freePort()}`)
    const pool = openPool({ kind: 'server', address: parseDatabaseUrl(several), poolSize: 4 })
    closing.push(pool.close)
    const [row] = await pool.run(({ client }) => client`SELECT current_user AS name`)
    expect(row?.name).toBe(role)
  })
})
