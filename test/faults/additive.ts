export interface SchemaChange {
  readonly name: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly hash: string
  readonly statements: readonly string[]
}

/**
 * Returns the statements of a migration that could break the previous version on the same schema.
 * New tables are unrestricted. Existing ones may only gain optional columns and ordinary indexes,
 * lose such indexes, and get storage parameters. `earlier`: statements of earlier migrations.
 */
export function whatBreaksOlderVersions({ statements }: SchemaChange, earlier: readonly string[] = []): string[] {
  const ownTables = new Set(statements.flatMap((statement) => /^CREATE TABLE "(\w+)"/.exec(statement)?.[1] ?? []))
  const concernsOwnTable = (statement: string) =>
    ownTables.has(/^(?:ALTER TABLE|INSERT INTO|CREATE (?:UNIQUE )?INDEX "\w+" ON) "(\w+)"/.exec(statement)?.[1] ?? '')
  return statements.filter((statement) => {
    if (/^CREATE TABLE "/.test(statement)) return false
    if (concernsOwnTable(statement)) return false
    if (/^CREATE INDEX "/.test(statement)) return false
    if (/^ALTER TABLE "\w+" SET \([\w\s=.,]+\);?$/.test(statement)) return false
    if (dropsOrdinaryIndex(statement, earlier)) return false
    return !addsOptionalColumn(statement)
  })
}

function addsOptionalColumn(statement: string): boolean {
  const definition = /^ALTER TABLE "\w+" ADD COLUMN "\w+" ([^;]*);?$/.exec(statement)?.[1]
  if (definition === undefined || /\b(UNIQUE|PRIMARY|REFERENCES|CHECK|GENERATED)\b/i.test(definition)) return false
  return !/NOT NULL/i.test(definition) || /DEFAULT/i.test(definition)
}

/** Nothing depends on an index that is not unique, except the time that statements take. */
function dropsOrdinaryIndex(statement: string, earlier: readonly string[]): boolean {
  const name = /^DROP INDEX (?:IF EXISTS )?"(\w+)";?$/.exec(statement)?.[1]
  return name !== undefined && earlier.some((other) => other.startsWith(`CREATE INDEX "${name}" `))
}
