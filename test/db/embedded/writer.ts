// Prints each id once its INSERT is acknowledged, until the test kills it.
import postgres from 'postgres'
import { openEmbedded } from '../../../src/db/embedded/engine.ts'

const database = await openEmbedded(process.argv[2] ?? '', { onFailure: () => process.exit(1) })
const sql = postgres({ socket: database.socket, max: 1, fetch_types: false } as unknown as postgres.Options<
  Record<string, never>
>)
await sql`CREATE TABLE written (id int PRIMARY KEY)`
for (let id = 1; ; id++) {
  await sql`INSERT INTO written VALUES (${id})`
  process.stdout.write(`${id}\n`)
}
