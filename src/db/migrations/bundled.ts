import { readMigrationFiles } from 'drizzle-orm/migrator'

export interface Migration {
  readonly statements: readonly string[]
  /** Epoch milliseconds at which drizzle-kit made it: its identity and its place in the order. */
  readonly createdAt: number
  /** SHA-256 of the file, in hex. */
  readonly hash: string
}

/** Imported as a macro: it runs while the binary is built, and the SQL of `drizzle/` becomes a part of it. */
export function bundledMigrations(): Migration[] {
  return readMigrationFiles({ migrationsFolder: `${import.meta.dir}/../../../drizzle` }).map((file) => ({
    // drizzle-kit writes "public" into foreign keys alone; without it they follow the search_path, as the tables do.
    statements: file.sql.map((statement) => statement.replaceAll('"public".', '').trim()),
    createdAt: file.folderMillis,
    hash: file.hash,
  }))
}
