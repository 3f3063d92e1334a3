import { is } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import * as auditSchema from './auditSchema.ts'
import * as schema from './schema.ts'

export interface TableShape {
  readonly name: string
  readonly columns: readonly string[]
}

/**
 * Imported as a macro: runs at build time, so that error messages need no Drizzle, which a server
 * loads after it listens.
 */
export function bundledTables(): TableShape[] {
  return Object.values<unknown>({ ...schema, ...auditSchema })
    .filter((value) => is(value, PgTable))
    .map((table) => getTableConfig(table as PgTable))
    .map(({ name, columns }) => ({ name, columns: columns.map((column) => column.name) }))
}
