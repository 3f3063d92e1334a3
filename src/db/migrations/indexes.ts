import type { Client } from '../pool/connection.ts'
import type { Session } from './blocker.ts'
import type { Migration } from './bundled.ts'

/** Bytes above which a table's indexes are built without blocking writes, after the migration. */
const largeTable = 16 * 2 ** 20
/** The migrations that may leave indexes for later. Those before were released without it. */
const firstWithLater = 8
/** Our lock for building indexes: "auditidx" as eight ASCII bytes. */
const lockKey = 0x6175646974696478n.toString()

interface IndexChange {
  readonly name: string
  readonly statement: string
  readonly isDrop: boolean
}

/** Returns whether a statement is left for `completeIndexes`, because its table is large. */
export async function isForLater(transaction: Session, statement: string): Promise<boolean> {
  const change = parse(statement)
  if (!change) return false
  const [row] = change.isDrop
    ? await transaction`
        SELECT pg_relation_size(indrelid) > ${largeTable} AS is_large FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
        WHERE relname = ${change.name} AND pg_table_is_visible(pg_class.oid)`
    : await transaction`SELECT pg_relation_size(${tableOf(statement)}::regclass) > ${largeTable} AS is_large`
  return row?.is_large === true
}

/**
 * Builds and drops the indexes that a migration has left, without blocking writes. Returns how many
 * remain: more than none while another replica builds them. Constant if there is nothing to do.
 */
export async function completeIndexes(client: Client, migrations: readonly Migration[]): Promise<number> {
  if ((await findOutstanding(client, migrations)).length === 0) return 0
  // Not the lock of migrations: behind PgBouncer, a lock of a session may outlive it.
  const [row] = await client`SELECT pg_try_advisory_lock(${lockKey}::bigint) AS is_locked`
  try {
    const outstanding = await findOutstanding(client, migrations)
    if (!row?.is_locked) return outstanding.length
    await withoutTimeLimits(client, async () => {
      for (const statement of outstanding) await client.unsafe(statement)
    })
    return (await findOutstanding(client, migrations)).length
  } finally {
    if (row?.is_locked) await client`SELECT pg_advisory_unlock(${lockKey}::bigint)`
  }
}

/** Returns the statements that complete the indexes. */
async function findOutstanding(session: Session, migrations: readonly Migration[]): Promise<string[]> {
  const changes = new Map<string, IndexChange>()
  for (const { statements } of migrations.slice(firstWithLater))
    for (const change of statements.map(parse)) if (change) changes.set(change.name, change)
  const rows = await session`
    SELECT relname AS name, indisvalid AS is_valid FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
    WHERE relname IN (SELECT json_array_elements_text(${JSON.stringify([...changes.keys()])}::text::json))
      AND pg_table_is_visible(pg_class.oid)`
  const existing = new Map(rows.map((row) => [String(row.name), row.is_valid === true]))
  return [...changes.values()].flatMap(({ name, statement, isDrop }) => {
    const isValid = existing.get(name)
    const drop = isValid === undefined ? [] : [`DROP INDEX CONCURRENTLY IF EXISTS "${name}"`]
    if (isDrop) return drop
    // Invalid: building it was interrupted.
    return isValid ? [] : [...drop, statement.replace('CREATE INDEX', 'CREATE INDEX CONCURRENTLY')]
  })
}

/** Waiting for another transaction here blocks no other. */
async function withoutTimeLimits(client: Client, work: () => Promise<void>): Promise<void> {
  const names = ['statement_timeout', 'lock_timeout']
  const rows = await client`
    SELECT name, setting FROM pg_settings WHERE name IN (SELECT json_array_elements_text(${JSON.stringify(names)}::text::json))`
  for (const { name } of rows) await client`SELECT set_config(${name}, '0', false)`
  try {
    await work()
  } finally {
    for (const { name, setting } of rows) await client`SELECT set_config(${name}, ${setting}, false)`
  }
}

function parse(statement: string): IndexChange | undefined {
  const [, kind, name = ''] = /^(CREATE|DROP) INDEX (?:IF EXISTS )?"(\w+)"/.exec(statement) ?? []
  return kind === undefined ? undefined : { name, statement, isDrop: kind === 'DROP' }
}

function tableOf(statement: string): string {
  return /^CREATE INDEX "\w+" ON "(\w+)"/.exec(statement)?.[1] ?? ''
}
