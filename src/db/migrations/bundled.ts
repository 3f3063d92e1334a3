import { readMigrationFiles } from 'drizzle-orm/migrator'

export interface Migration {
  readonly statements: readonly string[]
  /** Epoch milliseconds of its creation by drizzle-kit: its identity and its order. */
  readonly createdAt: number
  /** SHA-256 of the file in hexadecimal. */
  readonly hash: string
}

/** Imported as a macro: runs at build time and embeds the SQL of `drizzle/` in the binary. */
export function bundledMigrations(): Migration[] {
  return readMigrationFiles({ migrationsFolder: `${import.meta.dir}/../../../drizzle` }).map((file) => ({
    // drizzle-kit writes "public" only into foreign keys. Without it they follow the search_path
    // like tables.
    statements: file.sql.map((statement) => statement.replaceAll('"public".', '').trim()),
    createdAt: file.folderMillis,
    hash: file.hash,
  }))
}
