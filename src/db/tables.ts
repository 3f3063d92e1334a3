import { bundledTables } from './tableShapes.ts' with { type: 'macro' }
import type { TableShape } from './tableShapes.ts'

/** The tables and columns that this version reads and writes. */
export const tables: readonly TableShape[] = bundledTables()

const names = new Set([
  'audittrail_migrations',
  ...tables.flatMap(({ name, columns }) => [name, ...columns, ...columns.map((column) => `${name}.${column}`)]),
])

/** Returns our own tables and columns in a message of PostgreSQL, and nothing else of it. */
export function namesIn(message: string): readonly string[] {
  return [...new Set(message.match(/\w+(\.\w+)?/g))].filter((word) => names.has(word))
}
