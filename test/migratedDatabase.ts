import { parseDatabaseUrl } from '../src/config/databaseUrl.ts'
import { openDatabase } from '../src/db/database.ts'
import { openPool } from '../src/db/pool/pool.ts'
import { createDatabase } from './postgresql.ts'

let made: Promise<string> | undefined

/**
 * Returns the name of a migrated database without rows. A copy of it takes half as long as
 * migrating.
 */
export function migratedDatabase(): Promise<string> {
  made ??= migrate()
  return made
}

async function migrate(): Promise<string> {
  const address = parseDatabaseUrl(await createDatabase('', undefined, true))
  const database = openDatabase(openPool({ kind: 'server', address, poolSize: 1 }))
  await database.migrate()
  await database.close()
  return address.database
}
