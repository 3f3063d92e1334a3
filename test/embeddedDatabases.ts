import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { type EmbeddedDatabase, openEmbedded } from '../src/db/embedded/engine.ts'
import type { DatabaseTarget } from '../src/db/pool/connection.ts'
import { openPool } from '../src/db/pool/pool.ts'
import { atEndOfFile, temporaryDirectory } from './endOfFile.ts'

/** Set by the runner, which removes it: engines in it serve one file after the other. */
const lasting = process.env.TEST_DIRECTORY
const maxFree = 2
const free: EmbeddedDatabase[] = []

export interface OpenTarget {
  readonly target: DatabaseTarget
  readonly release: () => Promise<void>
}

/**
 * Returns an empty embedded database. A free engine is emptied: starting one and migrating in it
 * before the engine is compiled to fast code take ten times as long.
 */
export async function emptyEmbedded(): Promise<OpenTarget> {
  const used = free.pop()
  const engine = used ?? (await openEngine())
  const target: DatabaseTarget = { kind: 'embedded', socket: async () => engine.socket() }
  if (used) await empty(target)
  const release = async () => {
    if (free.length < maxFree) free.push(engine)
    else await engine.close()
  }
  return { target, release }
}

function openEngine(): Promise<EmbeddedDatabase> {
  const directory = lasting ? mkdtempSync(join(lasting, 'embedded-')) : temporaryDirectory('embedded')
  if (!lasting) atEndOfFile(() => free.splice(0).forEach((engine) => void engine.close()))
  return openEmbedded(join(directory, 'postgresql'), {
    onFailure: (reason) => {
      throw new Error(reason)
    },
  })
}

/** Leaves what a new cluster has. */
async function empty(target: DatabaseTarget): Promise<void> {
  const pool = openPool(target)
  await pool.run(async ({ client }) => {
    const schemas = await client`SELECT quote_ident(nspname) AS name FROM pg_namespace
      WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'`
    await client.unsafe(`
      DROP SCHEMA ${schemas.map(({ name }) => name).join()} CASCADE;
      CREATE SCHEMA public AUTHORIZATION pg_database_owner;
      GRANT USAGE ON SCHEMA public TO PUBLIC`)
    await client.unsafe(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET ALL', current_database()); END $$`)
  }, 'unlimited')
  await pool.close()
}
