export interface SchemaChange {
  readonly name: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly hash: string
  readonly statements: readonly string[]
}

/**
 * The statements of a migration that the version before it might not live with, while both run on one schema. What is new may be as it
 * likes; to what was there nothing is done that an older statement could notice: a column is added that may be left out, an index that
 * forbids nothing. All else is refused, whether it would do harm or not.
 */
export function whatBreaksOlderVersions({ statements }: SchemaChange): string[] {
  const ownTables = new Set(statements.flatMap((statement) => /^CREATE TABLE "(\w+)"/.exec(statement)?.[1] ?? []))
  const concernsOwnTable = (statement: string) =>
    ownTables.has(/^(?:ALTER TABLE|CREATE (?:UNIQUE )?INDEX "\w+" ON) "(\w+)"/.exec(statement)?.[1] ?? '')
  return statements.filter((statement) => {
    if (/^CREATE TABLE "/.test(statement)) return false
    if (concernsOwnTable(statement)) return false
    if (/^CREATE INDEX "/.test(statement)) return false
    return !addsOptionalColumn(statement)
  })
}

function addsOptionalColumn(statement: string): boolean {
  const definition = /^ALTER TABLE "\w+" ADD COLUMN "\w+" ([^;]*);?$/.exec(statement)?.[1]
  if (definition === undefined || /\b(UNIQUE|PRIMARY|REFERENCES|CHECK|GENERATED)\b/i.test(definition)) return false
  return !/NOT NULL/i.test(definition) || /DEFAULT/i.test(definition)
}
