import { afterEach } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { type Database, openDatabase } from '../../../src/db/database.ts'
import type { Inspection } from '../../../src/db/migrations/inspection.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import type { AppError } from '../../../src/error.ts'
import { createDatabase } from '../../postgresql.ts'

const closing: (() => Promise<unknown>)[] = []

/** A hook for each file that uses this module. At the top of the module, it would run for one. */
export function closeAfterEach(): void {
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
}

/** Runs at the end of the test, before the connections close. */
export function atEnd(work: () => Promise<unknown>): void {
  closing.push(work)
}

export interface Opened {
  readonly database: Database
  /** As a superuser. */
  readonly run: (statement: string) => Promise<readonly Record<string, unknown>[]>
  readonly url: string
}

export function openAs(url: string): Database {
  const database = openDatabase(openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize: 1 }))
  closing.push(() => database.close())
  return database
}

export async function openWith(...statements: string[]): Promise<Opened> {
  const url = await createDatabase()
  const client = postgres(url, { max: 1, onnotice: () => {} })
  closing.push(() => client.end())
  for (const statement of statements) await client.unsafe(statement)
  return { database: openAs(url), run: (statement) => client.unsafe(statement), url }
}

export const inspect = (database: Database): Promise<Inspection> => database.inspect(() => {})
export const failureOf = (work: Promise<unknown>): Promise<AppError> =>
  work.then(
    () => Promise.reject(new Error('succeeded')),
    (error) => error,
  )
export const problemsOf = ({ blockers }: Inspection) => blockers.map(({ problem }) => problem).join('\n')
