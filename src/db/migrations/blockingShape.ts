import { type Blocker, quoted } from './blocker.ts'
import type { Column, UsersTable } from './usersTable.ts'

interface Expected {
  readonly type: RegExp
  /** For messages and SQL. */
  readonly wanted: string
  /** Converts a value of another type. Undefined: a decision. */
  readonly using?: string
  /** The definition of a column that may be added. */
  readonly definition?: string
}

const text = /^(character varying|text)(\(\d+\))?$/

/** The shape of `users` in the FastAPI + SQLAlchemy original. Widths may differ. */
export const originalColumns: Readonly<Record<string, Expected>> = {
  id: { type: /^uuid$/, wanted: 'uuid' },
  username: { type: text, wanted: 'text', using: 'username::text' },
  hashed_password: { type: text, wanted: 'text' },
  full_name: {
    type: text,
    wanted: 'text',
    using: 'full_name::text',
    definition: `varchar(100) NOT NULL DEFAULT ''`,
  },
  is_active: {
    type: /^boolean$/,
    wanted: 'boolean',
    using: 'is_active::text::boolean',
    definition: 'boolean NOT NULL DEFAULT true',
  },
}

/** Columns that adoption adds, unless the table already has them. */
export const addedColumns: Readonly<Record<string, Expected>> = {
  roles: { type: /^text\[\]$/, wanted: 'text[]' },
  must_change_password: { type: /^boolean$/, wanted: 'boolean' },
  created_at: { type: /^timestamp/, wanted: 'timestamptz', using: 'created_at::text::timestamptz' },
}

/** Returns what keeps the relation from being adopted, apart from its rows. */
export function shapeBlockers(table: UsersTable): Blocker[] {
  if (table.kind !== 'table') return [kindBlocker(table)]
  const { name, columns, isUnlogged, children } = table
  return [
    ...(isUnlogged
      ? [
          {
            problem: 'it is unlogged, so permanent tables cannot refer to it',
            sql: [`ALTER TABLE ${name} SET LOGGED;`],
          },
        ]
      : []),
    ...(children.length > 0
      ? [
          {
            problem: `the tables ${children.join(', ')} inherit from it, and no index covers their rows`,
            sql: children.map((child) => `ALTER TABLE ${child} NO INHERIT ${name};`),
          },
        ]
      : []),
    ...Object.entries(originalColumns).flatMap(([column, expected]) => columnBlockers(table, column, expected, true)),
    ...Object.entries(addedColumns).flatMap(([column, expected]) => columnBlockers(table, column, expected, false)),
    ...columns
      .filter((column) => isUnknown(column) && !column.nullable && !column.hasDefault)
      .map(requiredBlocker(name)),
  ]
}

function kindBlocker({ kind }: UsersTable): Blocker {
  return {
    problem: `it is a ${kind}, not a table. Give AuditTrail its own schema (?options=-csearch_path%3Daudittrail in DATABASE_URL) and import the users`,
    sql: ['CREATE SCHEMA audittrail;'],
  }
}

function columnBlockers(table: UsersTable, name: string, expected: Expected, isRequired: boolean): Blocker[] {
  const column = table.columns.find((candidate) => candidate.name === name)
  const alter = `ALTER TABLE ${table.name}`
  if (!column) {
    if (!isRequired) return []
    const { definition } = expected
    const added = definition === undefined ? [] : [`${alter} ADD COLUMN ${name} ${definition};`]
    return [{ problem: `it has no column ${name}`, sql: added }]
  }
  if (column.isGenerated) {
    const problem = `its column ${name} is generated, so AuditTrail cannot write it`
    return [{ problem, sql: [`${alter} ALTER COLUMN ${name} DROP EXPRESSION;`] }]
  }
  if (expected.type.test(column.type)) return []
  const problem = `its column ${name} is of type ${column.type}, not ${expected.wanted}`
  return [{ problem, sql: isRequired || expected.using ? retype(alter, column, expected) : renamed(alter, column) }]
}

/** The default goes first: it may not have a value of the new type. */
function retype(alter: string, { name, type, hasDefault }: Column, { wanted, using }: Expected): string[] {
  if (using === undefined) return []
  const dropDefault = hasDefault && !/char|citext/.test(type) ? [`${alter} ALTER COLUMN ${name} DROP DEFAULT;`] : []
  return [...dropDefault, `${alter} ALTER COLUMN ${name} TYPE ${wanted} USING ${using};`]
}

/** A column of the application that has the name of ours: the application must use its new name. */
function renamed(alter: string, { name, type }: Column): string[] {
  return /^character varying.*\[\]$/.test(type)
    ? [`${alter} ALTER COLUMN ${name} TYPE text[];`]
    : [`${alter} RENAME COLUMN ${name} TO app_${name};`]
}

function isUnknown({ name }: Column): boolean {
  return !Object.hasOwn(originalColumns, name) && !Object.hasOwn(addedColumns, name)
}

function requiredBlocker(table: string): (column: Column) => Blocker {
  return ({ name }) => ({
    problem: `its column ${name} is NOT NULL without a default, so no user could be added`,
    sql: [`ALTER TABLE ${table} ALTER COLUMN ${quoted(name)} DROP NOT NULL;`],
  })
}
