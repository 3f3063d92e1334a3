import type { TransactionSql } from 'postgres'
import type { Client } from '../pool/connection.ts'

export type Session = Client | TransactionSql

/** Why a database cannot be migrated or adopted, and what to do. */
export interface Blocker {
  /** A clause such as `its column id is of type integer`. */
  readonly problem: string
  /** Rows, at most `listedRows` of them. */
  readonly rows?: readonly string[]
  /** SQL that removes the problem. Empty if it takes a decision. */
  readonly sql: readonly string[]
  /** SQL that restores, after the migration, what `sql` removes. */
  readonly afterwards?: readonly string[]
}

export const listedRows = 20

/** Quotes a name for SQL if it needs it. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
