import { randomBytes } from 'node:crypto'
import type { TransactionSql } from 'postgres'
import { databaseFailure } from '../failure.ts'
import type { Client, DatabaseTarget } from '../pool/connection.ts'
import { createStaging, type StagedUser, type Staging, stagingIn } from './importStaging.ts'

/** A row of the export. Times are in UTC with microseconds, or `infinity`, as in the database. */
export interface ExportedUser extends Omit<StagedUser, 'place' | 'id' | 'created_at'> {
  readonly id: string
  readonly created_at: string
}

export type UserTransferStatements = ReturnType<typeof userTransferStatements>

const pageSize = 1000
/** Imported users that make the planner's statistics too old. */
const leastForAnalysis = 1000

/**
 * Bulk import and export in bounded memory. On a server, each is one transaction on a dedicated
 * connection. The embedded database has a single session, which is held only while users are
 * inserted.
 */
export function userTransferStatements(
  kind: DatabaseTarget['kind'],
  withOneSession: <T>(work: (client: Client) => Promise<T>) => Promise<T>,
) {
  return {
    /** Runs work that stages users and may insert them. If it throws, nothing has been imported. */
    withStaging: <T>(work: (staging: Staging) => Promise<T>): Promise<T> =>
      withOneSession(async (client) => {
        const table = `audittrail_import_${randomBytes(8).toString('hex')}`
        let imported = 0
        const counting = async (insert: Promise<number>) => {
          imported = await insert
          return imported
        }
        try {
          return kind === 'server'
            ? await separatingErrors(
                work,
                (inner) =>
                  client.begin(async (transaction) => {
                    await disableTimeouts(transaction)
                    await createStaging(transaction, table, 'ON COMMIT DROP')
                    return inner(stagingIn(transaction, table, (insert) => counting(inSavepoint(transaction, insert))))
                  }) as Promise<T>,
              )
            : await separatingErrors(work, async (inner) => {
                await createStaging(client, table, '')
                return inner(stagingIn(client, table, (insert) => counting(client.begin(insert) as Promise<number>)))
              })
        } finally {
          if (kind === 'embedded') await client`DROP TABLE IF EXISTS pg_temp.${client(table)}`.catch(() => {})
          if (imported >= leastForAnalysis) await analyzeUsers(client)
        }
      }),

    /** Passes every user, ordered by username, page by page from one snapshot. */
    eachPage: (take: (users: readonly ExportedUser[]) => Promise<void>): Promise<void> =>
      withOneSession((client) =>
        separatingErrors(take, async (inner) => {
          const cursor = `audittrail_export_${randomBytes(8).toString('hex')}`
          if (kind === 'server') {
            await client.begin('isolation level repeatable read read only', async (transaction) => {
              await disableTimeouts(transaction)
              await declareCursor(transaction, cursor, '')
              await fetchAll(transaction, cursor, inner)
            })
            return
          }
          await declareCursor(client, cursor, 'WITH HOLD')
          await fetchAll(client, cursor, inner).finally(() => client`CLOSE ${client(cursor)}`.catch(() => {}))
        }),
      ),
  }
}

/**
 * Renews the planner's statistics. With those of a small table, PostgreSQL would read all users for
 * each batch of request checks until autovacuum renews them. Only the owner of the table may do it,
 * so a failure is ignored.
 */
async function analyzeUsers(client: Client): Promise<void> {
  await client`ANALYZE users`.catch(() => {})
}

/** Undoes failed work, so that the transaction can go on. */
async function inSavepoint<T>(
  transaction: TransactionSql,
  work: (transaction: TransactionSql) => Promise<T>,
): Promise<T> {
  await transaction`SAVEPOINT work`
  try {
    return await work(transaction)
  } catch (error) {
    await transaction`ROLLBACK TO SAVEPOINT work`.catch(() => {})
    throw error
  }
}

/** Rethrows errors of the work unchanged, and errors of the database as an AppError. */
async function separatingErrors<Input, Output, T>(
  work: (input: Input) => Promise<Output>,
  run: (work: (input: Input) => Promise<Output>) => Promise<T>,
): Promise<T> {
  let thrownByWork: { readonly error: unknown } | undefined
  try {
    return await run(async (input) => {
      try {
        return await work(input)
      } catch (error) {
        thrownByWork ??= { error }
        throw error
      }
    })
  } catch (error) {
    throw thrownByWork ? thrownByWork.error : databaseFailure(error)
  }
}

/** The server's timeouts are meant for requests. */
async function disableTimeouts(transaction: TransactionSql): Promise<void> {
  await transaction`
    SELECT set_config(name, '0', true)
    FROM unnest(ARRAY[
      'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout']) AS name
    WHERE current_setting(name, true) IS NOT NULL`
}

async function declareCursor(session: Client | TransactionSql, cursor: string, hold: '' | 'WITH HOLD'): Promise<void> {
  await session.unsafe(`
    DECLARE ${cursor} NO SCROLL CURSOR ${hold} FOR
    SELECT id, username, full_name, hashed_password, is_active,
           coalesce((SELECT json_agg(role) FROM unnest(roles) AS role WHERE role IS NOT NULL), '[]')::text AS roles,
           must_change_password,
           CASE WHEN NOT isfinite(created_at) THEN created_at::text
             ELSE to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               || CASE WHEN extract(year FROM created_at AT TIME ZONE 'UTC') < 0 THEN ' BC' ELSE '' END
           END AS created_at
    FROM users ORDER BY lower(username COLLATE "C")`)
}

async function fetchAll(
  session: Client | TransactionSql,
  cursor: string,
  take: (users: readonly ExportedUser[]) => Promise<void>,
): Promise<void> {
  for (;;) {
    const rows = await session.unsafe(`FETCH ${pageSize} FROM ${cursor}`)
    if (rows.length === 0) return
    await take(rows.map((row) => ({ ...row, roles: JSON.parse(row.roles) }) as unknown as ExportedUser))
  }
}
