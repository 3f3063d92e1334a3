import { type EventRow, eventCheck, eventCte } from '../audit/pending.ts'
import { guarded } from '../failure.ts'
import type { Client, Connection } from '../pool/connection.ts'
import type { throttleFailures } from '../schema.ts'

export type ThrottleStatements = ReturnType<typeof throttleStatements>

export type FailureKind = (typeof throttleFailures.$inferSelect)['kind']

/** The failures counted in one row. */
export interface FailureCount {
  readonly kind: FailureKind
  readonly failures: number
  readonly last_failed_at: Date
  readonly forgotten_at: Date
}

/** A failure to count, and when its row expires. */
export interface NewFailure {
  readonly key: string
  readonly kind: FailureKind
  readonly username: string | undefined
  readonly network: string | undefined
  readonly forgottenAt: Date
}

export interface ClientFailure {
  /** An account from one network. */
  readonly client: NewFailure
  /** The account, which counts networks. */
  readonly account: NewFailure
  /** The network, whatever the account. Undefined if all clients share one address. */
  readonly network: NewFailure | undefined
}

/**
 * The rows of some keys as a statement read them, for a later one that tells whether they have
 * changed.
 */
export interface ReadFailures {
  readonly keys: readonly string[]
  readonly now: Date
  readonly rows: string
}

/** More than the clocks of two replicas ever differ. */
export const maxClockSkew = '15 minutes'

export function throttleStatements({ client: driver }: Pick<Connection, 'client'>) {
  return {
    /**
     * Returns the unexpired rows. Ignores failures in the future, which a wrong clock has counted.
     */
    findFailureCounts: (keys: readonly string[], now: Date): Promise<FailureCount[]> =>
      guarded(async () => {
        const rows = await driver<FailureCountRow[]>`
          SELECT kind, failures, last_failed_at, forgotten_at FROM audittrail_attempts WHERE ${unexpired(driver, keys, now)}`
        return rows.map(failureCountOf)
      }),

    /** Counts one failure in one row. */
    insertFailure: (failure: NewFailure, now: Date, event?: EventRow): Promise<void> =>
      guarded(async () => {
        const at = now.toISOString()
        await driver`
          WITH nothing AS (SELECT)${eventCte(driver, event)}
          INSERT INTO audittrail_attempts AS counted
            (key, kind, username, account_username, network, failures, last_failed_at, forgotten_at)
          VALUES (${failure.key}, ${failure.kind}, ${narrowed(failure.username)}, ${failure.username ?? null}, ${failure.network ?? null}, 1,
                  ${at}::timestamptz, ${failure.forgottenAt.toISOString()}::timestamptz)
          ON CONFLICT (key) DO UPDATE SET
            failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz THEN counted.failures + 1 ELSE 1 END,
            username = coalesce(excluded.username, counted.username),
            account_username = coalesce(excluded.account_username, counted.account_username),
            last_failed_at = excluded.last_failed_at, forgotten_at = excluded.forgotten_at
          RETURNING ${eventCheck(driver, event)}`
      }),

    /**
     * Counts one failure of a client, of its network, and of its account if it is the client's
     * first. In one statement whose rows are locked in a fixed order, so that concurrent ones count
     * exactly and never deadlock.
     */
    insertClientFailure: ({ client, account, network }: ClientFailure, now: Date, event?: EventRow): Promise<void> =>
      guarded(async () => {
        const at = now.toISOString()
        await driver`
          WITH client AS (
            INSERT INTO audittrail_attempts AS counted
              (key, kind, account, username, account_username, network, failures, last_failed_at, forgotten_at)
            VALUES (${client.key}, 'client', ${account.key}, ${narrowed(client.username)}, ${client.username ?? null},
                    ${client.network ?? null}, 1, ${at}::timestamptz, ${client.forgottenAt.toISOString()}::timestamptz)
            ON CONFLICT (key) DO UPDATE SET
              failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz THEN counted.failures + 1 ELSE 1 END,
              username = excluded.username, account_username = excluded.account_username,
              last_failed_at = excluded.last_failed_at, forgotten_at = excluded.forgotten_at
            -- An existing row, expired or not, was counted: it is kept for as long as its account's row.
            RETURNING (xmax = 0)::integer AS is_first
          ), account AS (
            INSERT INTO audittrail_attempts AS counted
              (key, kind, username, account_username, failures, last_failed_at, forgotten_at)
            SELECT ${account.key}, 'account', ${narrowed(account.username)}, ${account.username ?? null}, 1, ${at}::timestamptz,
                   ${account.forgottenAt.toISOString()}::timestamptz
            FROM client
            ON CONFLICT (key) DO UPDATE SET
              failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz
                THEN counted.failures + (SELECT is_first FROM client) ELSE 1 END,
              last_failed_at = CASE WHEN counted.forgotten_at > ${at}::timestamptz AND (SELECT is_first FROM client) = 0
                THEN counted.last_failed_at ELSE excluded.last_failed_at END,
              username = excluded.username, account_username = excluded.account_username,
              forgotten_at = excluded.forgotten_at
            RETURNING failures
          ), network AS (
          INSERT INTO audittrail_attempts AS counted (key, kind, network, failures, last_failed_at, forgotten_at)
          SELECT ${network?.key ?? ''}, 'network', ${network?.network ?? null}, 1, ${at}::timestamptz,
                 ${(network ?? client).forgottenAt.toISOString()}::timestamptz
          FROM account WHERE ${network !== undefined}
          ON CONFLICT (key) DO UPDATE SET
            failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz THEN counted.failures + 1 ELSE 1 END,
            last_failed_at = excluded.last_failed_at,
            -- Many people may share a network, and some of them always fail: its window ends as planned.
            forgotten_at = CASE WHEN counted.forgotten_at > ${at}::timestamptz
              THEN least(counted.forgotten_at, excluded.forgotten_at) ELSE excluded.forgotten_at END
          )${eventCte(driver, event)}
          SELECT ${eventCheck(driver, event)}`
      }),

    /**
     * Deletes the failures of a client or device that has signed in. Its account then has one
     * network less.
     */
    deleteFailures: (key: string): Promise<void> =>
      guarded(async () => {
        await driver`
          WITH gone AS (DELETE FROM audittrail_attempts WHERE key = ${key} RETURNING account)
          UPDATE audittrail_attempts SET failures = greatest(failures - 1, 0) WHERE key IN (SELECT account FROM gone)`
      }),

    /**
     * Deletes at most `limit` expired rows, skipping those locked by other replicas. Returns how
     * many. A client's row stays as long as its account's row, or that network would be counted
     * twice.
     */
    deleteExpiredFailures: (now: Date, limit: number): Promise<number> =>
      guarded(async () => {
        const at = now.toISOString()
        const rows = await driver`
          DELETE FROM audittrail_attempts WHERE key IN (
            SELECT own.key FROM audittrail_attempts own
            WHERE own.forgotten_at <= ${at}::timestamptz AND NOT EXISTS (
              SELECT FROM audittrail_attempts account WHERE account.key = own.account AND account.forgotten_at > ${at}::timestamptz)
            ORDER BY own.forgotten_at LIMIT ${limit} FOR UPDATE OF own SKIP LOCKED)
          RETURNING id`
        return rows.length
      }),
  }
}

function unexpired(driver: Client, [first = '', second = '', third = '']: readonly string[], now: Date) {
  const at = now.toISOString()
  return driver`key IN (${first}, ${second}, ${third}) AND forgotten_at > ${at}::timestamptz
    AND last_failed_at < ${at}::timestamptz + ${maxClockSkew}::interval`
}

/** Returns an expression for what `findFailureCounts` returns, as one text. */
export function failureRows(driver: Client, keys: readonly string[], now: Date) {
  return driver`(
    SELECT coalesce(json_agg(json_build_array(kind, failures, last_failed_at, forgotten_at) ORDER BY key), '[]')::text
    FROM audittrail_attempts WHERE ${unexpired(driver, keys, now)})`
}

export function readFailureRows(rows: string): FailureCount[] {
  if (rows === '[]') return []
  return (JSON.parse(rows) as [FailureKind, number, string, string][]).map(
    ([kind, failures, last_failed_at, forgotten_at]) =>
      failureCountOf({ kind, failures, last_failed_at, forgotten_at }),
  )
}

/** Returns what fits into the column `username` of earlier versions. */
function narrowed(username: string | undefined): string | null {
  return username !== undefined && [...username].length <= 50 ? username : null
}

export interface FailureCountRow {
  readonly kind: FailureKind
  readonly failures: number
  readonly last_failed_at: Date | string
  readonly forgotten_at: Date | string
}

/** Drizzle makes a shared driver return times as text. */
export function failureCountOf({ kind, failures, last_failed_at, forgotten_at }: FailureCountRow): FailureCount {
  return { kind, failures, last_failed_at: new Date(last_failed_at), forgotten_at: new Date(forgotten_at) }
}
