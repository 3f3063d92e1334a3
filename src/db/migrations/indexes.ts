import { setTimeout as wait } from 'node:timers/promises'
import { AppError } from '../../error.ts'
import { guarded } from '../failure.ts'
import type { Client, OpenConnection } from '../pool/connection.ts'
import type { Pool } from '../pool/pool.ts'
import type { Session } from './blocker.ts'
import type { Migration } from './bundled.ts'

/** Bytes above which a table's indexes are built without blocking writes, after the migration. */
const largeTable = 16 * 2 ** 20
/** The migrations that may leave indexes for later. Those before were released without it. */
const firstWithLater = 8
/** Our lock for starting to build an index: "auditidx" as eight ASCII bytes. */
const lockKey = 0x6175646974696478n.toString()

/**
 * Milliseconds until PostgreSQL shows the statement, which PgBouncer may hold back, and between two
 * looks.
 */
const startLimits = { shown: 10_000, look: 5 }

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
 * Builds and drops the indexes that a migration has left, without blocking writes, on a connection
 * that is not one of the pool's. Returns how many remain: more than none while another replica
 * builds one. Constant if there is nothing to do.
 */
export async function completeIndexes(
  { run, openSpare }: Pick<Pool, 'run' | 'openSpare'>,
  migrations: readonly Migration[],
): Promise<number> {
  const count = () => run(async ({ client }) => (await findOutstanding(client, migrations)).length)
  let remaining = await count()
  if (remaining === 0) return 0
  const spare = await openSpare()
  try {
    await guarded(() => liftTimeLimits(spare))
    for (;;) {
      const started = await run(({ client }) => startNext(client, spare.client, migrations), 'unlimited')
      await guarded(async () => started?.finished)
      const left = await count()
      if (left === 0 || left >= remaining) return left
      remaining = left
    }
  } finally {
    await spare.end()
  }
}

/**
 * Starts the next statement on `builder`. Returns undefined while another replica runs one: two
 * builds on a table would deadlock, and a late DROP would drop what the other has built. Behind
 * PgBouncer, a lock held until the end would stay.
 */
async function startNext(client: Client, builder: Client, migrations: readonly Migration[]) {
  return client.begin('isolation level read committed', async (transaction) => {
    await transaction`SELECT set_config(name, '0', true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout']) AS name`
    await transaction`SELECT pg_advisory_xact_lock(${lockKey}::bigint)`
    // In this order: a statement that is over by then has left its final state.
    if (await isChanging(transaction)) return undefined
    const [statement] = await findOutstanding(transaction, migrations)
    if (statement === undefined) return undefined
    const limit = AbortSignal.timeout(startLimits.shown)
    let isOver = false
    const finished = builder.unsafe(statement).execute()
    const end = () => {
      isOver = true
    }
    finished.then(end, end)
    // Until then, another replica would start the same.
    while (!isOver && !(await isChanging(transaction))) {
      if (limit.aborted) throw new AppError('unavailable', 'The database does not start to build an index.')
      await wait(startLimits.look)
    }
    return { finished }
  }) as Promise<{ readonly finished: Promise<unknown> } | undefined>
}

/**
 * Returns whether an index of this database is being built, by any role, or dropped by this one.
 */
async function isChanging(session: Session): Promise<boolean> {
  // A transaction sees the activity as it first did.
  await session`SELECT pg_stat_clear_snapshot()`
  const rows = await session`
    SELECT FROM pg_stat_progress_create_index WHERE datname = current_database()
    UNION ALL
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND query ~ '^(CREATE|DROP) INDEX CONCURRENTLY'`
  return rows.length > 0
}

/**
 * Waiting for another transaction here blocks no other. A pooler's session is not ours to change.
 */
async function liftTimeLimits({ client, facts }: OpenConnection): Promise<void> {
  if (!facts?.isPooled)
    await client`SELECT set_config(name, '0', false) FROM unnest(ARRAY['statement_timeout', 'lock_timeout']) AS name`
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

function parse(statement: string): IndexChange | undefined {
  const [, kind, name = ''] = /^(CREATE|DROP) INDEX (?:IF EXISTS )?"(\w+)"/.exec(statement) ?? []
  return kind === undefined ? undefined : { name, statement, isDrop: kind === 'DROP' }
}

function tableOf(statement: string): string {
  return /^CREATE INDEX "\w+" ON "(\w+)"/.exec(statement)?.[1] ?? ''
}
