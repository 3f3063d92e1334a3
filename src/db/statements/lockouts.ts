import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import { type FailureCount, type FailureCountRow, failureCountOf, maxClockSkew } from './throttle.ts'

export type LockoutStatements = ReturnType<typeof lockoutStatements>

/** A row over its limit. */
export interface ListedLockout extends FailureCount {
  readonly id: string
  readonly username: string | null
  readonly network: string | null
  /** For a `client`: the number of networks with failures at its account. Otherwise 1. */
  readonly spread: number
}

export interface LockoutPage {
  readonly now: Date
  /** Failures without a delay, for a network and for everything else. */
  readonly networkFree: number
  readonly free: number
  /** Where the previous page ended. */
  readonly after: { readonly lastFailedAt: Date; readonly id: string } | undefined
  readonly limit: number
}

export function lockoutStatements({ client: driver }: Pick<Connection, 'client'>) {
  return {
    /** Lists rows with more failures than are free, latest failure first. */
    listLockouts: ({ now, networkFree, free, after, limit }: LockoutPage): Promise<ListedLockout[]> =>
      guarded(async () => {
        const at = now.toISOString()
        const rows = await driver<LockoutRow[]>`
          SELECT own.id, own.kind, coalesce(own.account_username, own.username) AS username, own.network, own.failures,
                 own.last_failed_at, own.forgotten_at, greatest(coalesce(account.failures, 1), 1) AS spread
          FROM audittrail_attempts own
          LEFT JOIN audittrail_attempts account ON account.key = own.account AND account.forgotten_at > ${at}::timestamptz
          WHERE own.forgotten_at > ${at}::timestamptz AND own.last_failed_at < ${at}::timestamptz + ${maxClockSkew}::interval
            AND own.failures + greatest(coalesce(account.failures, 1), 1) - 1
              > CASE own.kind WHEN 'network' THEN ${networkFree}::integer ELSE ${free}::integer END
            AND (own.last_failed_at, own.id) < (${after?.lastFailedAt.toISOString() ?? 'infinity'}::timestamptz,
                                               ${after?.id ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff'}::uuid)
          ORDER BY own.last_failed_at DESC, own.id DESC LIMIT ${limit}`
        return rows.map((row) => ({
          ...failureCountOf(row),
          id: row.id,
          username: row.username,
          network: row.network,
          spread: row.spread,
        }))
      }),

    /**
     * Deletes one row. Returns whether it existed. The client's account then has one network less.
     */
    deleteLockout: (id: string): Promise<boolean> =>
      guarded(async () => {
        const [row] = await driver`
          WITH gone AS (DELETE FROM audittrail_attempts WHERE id = ${id} RETURNING account), less AS (
            UPDATE audittrail_attempts SET failures = greatest(failures - 1, 0) WHERE key IN (SELECT account FROM gone))
          SELECT count(*)::integer AS deleted FROM gone`
        return row?.deleted === 1
      }),

    /** Deletes all failures of a user. Returns the number of rows. */
    deleteFailuresOfUser: (username: string): Promise<number> =>
      guarded(async () => {
        const rows = await driver`
          DELETE FROM audittrail_attempts WHERE key IN (
            SELECT key FROM audittrail_attempts
            WHERE lower(coalesce(account_username, username) COLLATE "C") = lower(${username} COLLATE "C")
            ORDER BY kind DESC, key FOR UPDATE)
          RETURNING id`
        return rows.length
      }),

    /**
     * Deletes all failures of a network. Returns the number of rows. Its accounts then have one
     * network less.
     */
    deleteFailuresOfNetwork: (network: string): Promise<number> =>
      guarded(async () => {
        const [row] = await driver`
          WITH gone AS (
            DELETE FROM audittrail_attempts WHERE key IN (
              SELECT key FROM audittrail_attempts WHERE network = ${network} ORDER BY kind, key FOR UPDATE)
            RETURNING account
          ), less AS (
            UPDATE audittrail_attempts SET failures = greatest(failures - 1, 0) WHERE key IN (
              SELECT key FROM audittrail_attempts WHERE key IN (SELECT account FROM gone) ORDER BY key FOR UPDATE))
          SELECT count(*)::integer AS deleted FROM gone`
        return row?.deleted ?? 0
      }),
  }
}

interface LockoutRow extends FailureCountRow {
  readonly id: string
  readonly username: string | null
  readonly network: string | null
  readonly spread: number
}
