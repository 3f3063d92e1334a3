import { is } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import * as schema from './schema.ts'

export interface TableShape {
  readonly name: string
  readonly columns: readonly string[]
}

/** The tables and columns that this version reads and writes. */
export const tables: readonly TableShape[] = Object.values<unknown>(schema)
  .filter((value) => is(value, PgTable))
  .map((table) => getTableConfig(table as PgTable))
  .map(({ name, columns }) => ({ name, columns: columns.map((column) => column.name) }))

const names = new Set([
  'audittrail_migrations',
  ...tables.flatMap(({ name, columns }) => [name, ...columns, ...columns.map((column) => `${name}.${column}`)]),
])

/** Returns our own tables and columns in a message of PostgreSQL, and nothing else of it. */
export function namesIn(message: string): readonly string[] {
  return [...new Set(message.match(/\w+(\.\w+)?/g))].filter((word) => names.has(word))
}
