import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import type { throttleFailures } from '../schema.ts'

export type ThrottleStatements = ReturnType<typeof throttleStatements>

export type FailureKind = (typeof throttleFailures.$inferSelect)['kind']

/** What has been counted. */
export interface FailureCount {
  readonly kind: FailureKind
  readonly failures: number
  readonly last_failed_at: Date
  readonly forgotten_at: Date
}

/** What is to be counted, and until when it is remembered: from each failure on, or (`keeps`) from the first. */
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
  /** The network, whatever the account; undefined where all clients share one address. */
  readonly network: NewFailure | undefined
}

/** A counter over its limit, as an administrator sees it. */
export interface ListedLockout extends FailureCount {
  readonly id: string
  readonly username: string | null
  readonly network: string | null
  /** Of a `client`: networks that have failed at its account; 1 for all else. */
  readonly spread: number
}

export interface LockoutPage {
  readonly now: Date
  /** Failures that a network, and that anything else, has without a wait. */
  readonly networkFree: number
  readonly free: number
  /** Where the page before ended. */
  readonly after: { readonly lastFailedAt: Date; readonly id: string } | undefined
  readonly limit: number
}

/** Clocks of replicas are not as far from one another as that. */
const farAhead = '15 minutes'

export function throttleStatements({ client: driver }: Pick<Connection, 'client'>) {
  return {
    /** Those of the counters that are remembered at `now`. What will only happen was counted by a clock that was wrong. */
    findFailureCounts: (keys: readonly string[], now: Date): Promise<FailureCount[]> =>
      guarded(async () => {
        const [first = '', second = '', third = ''] = keys
        const rows = await driver<FailureCountRow[]>`
          SELECT kind, failures, last_failed_at, forgotten_at FROM audittrail_attempts
          WHERE key IN (${first}, ${second}, ${third}) AND forgotten_at > ${now.toISOString()}::timestamptz
            AND last_failed_at < ${now.toISOString()}::timestamptz + ${farAhead}::interval`
        return rows.map(failureCountOf)
      }),

    /** Counts one failure in one row. */
    insertFailure: (counted: NewFailure, now: Date): Promise<void> =>
      guarded(async () => {
        const at = now.toISOString()
        await driver`
          INSERT INTO audittrail_attempts AS counted (key, kind, username, network, failures, last_failed_at, forgotten_at)
          VALUES (${counted.key}, ${counted.kind}, ${counted.username ?? null}, ${counted.network ?? null}, 1,
                  ${at}::timestamptz, ${counted.forgottenAt.toISOString()}::timestamptz)
          ON CONFLICT (key) DO UPDATE SET
            failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz THEN counted.failures + 1 ELSE 1 END,
            username = coalesce(excluded.username, counted.username),
            last_failed_at = excluded.last_failed_at, forgotten_at = excluded.forgotten_at`
      }),

    /**
     * Counts one failure of a client, of its account where it is the first from that network, and of its network. One statement, in
     * which each row waits for the one before it: parallel ones count exactly, and never wait for one another in a circle.
     */
    insertClientFailure: ({ client, account, network }: ClientFailure, now: Date): Promise<void> =>
      guarded(async () => {
        const at = now.toISOString()
        await driver`
          WITH client AS (
            INSERT INTO audittrail_attempts AS counted (key, kind, account, username, network, failures, last_failed_at, forgotten_at)
            VALUES (${client.key}, 'client', ${account.key}, ${client.username ?? null}, ${client.network ?? null}, 1,
                    ${at}::timestamptz, ${client.forgottenAt.toISOString()}::timestamptz)
            ON CONFLICT (key) DO UPDATE SET
              failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz THEN counted.failures + 1 ELSE 1 END,
              username = excluded.username, last_failed_at = excluded.last_failed_at, forgotten_at = excluded.forgotten_at
            -- A row that was there, forgotten or not, was counted: it is kept for as long as its account's.
            RETURNING (xmax = 0)::integer AS is_first
          ), account AS (
            INSERT INTO audittrail_attempts AS counted (key, kind, username, failures, last_failed_at, forgotten_at)
            SELECT ${account.key}, 'account', ${account.username ?? null}, 1, ${at}::timestamptz,
                   ${account.forgottenAt.toISOString()}::timestamptz
            FROM client
            ON CONFLICT (key) DO UPDATE SET
              failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz
                THEN counted.failures + (SELECT is_first FROM client) ELSE 1 END,
              last_failed_at = CASE WHEN counted.forgotten_at > ${at}::timestamptz AND (SELECT is_first FROM client) = 0
                THEN counted.last_failed_at ELSE excluded.last_failed_at END,
              username = excluded.username, forgotten_at = excluded.forgotten_at
            RETURNING failures
          )
          INSERT INTO audittrail_attempts AS counted (key, kind, network, failures, last_failed_at, forgotten_at)
          SELECT ${network?.key ?? ''}, 'network', ${network?.network ?? null}, 1, ${at}::timestamptz,
                 ${(network ?? client).forgottenAt.toISOString()}::timestamptz
          FROM account WHERE ${network !== undefined}
          ON CONFLICT (key) DO UPDATE SET
            failures = CASE WHEN counted.forgotten_at > ${at}::timestamptz THEN counted.failures + 1 ELSE 1 END,
            last_failed_at = excluded.last_failed_at,
            -- Many people may share a network, and some of them always fail: its window ends where it was to end.
            forgotten_at = CASE WHEN counted.forgotten_at > ${at}::timestamptz
              THEN least(counted.forgotten_at, excluded.forgotten_at) ELSE excluded.forgotten_at END`
      }),

    /** Forgets the failures of a client or a device that has signed in; its account has failed from one network less. */
    deleteFailures: (key: string): Promise<void> =>
      guarded(async () => {
        await driver`
          WITH gone AS (DELETE FROM audittrail_attempts WHERE key = ${key} RETURNING account)
          UPDATE audittrail_attempts SET failures = greatest(failures - 1, 0) WHERE key IN (SELECT account FROM gone)`
      }),

    /** Counters that have had more failures than cost no wait, the latest first. */
    listLockouts: ({ now, networkFree, free, after, limit }: LockoutPage): Promise<ListedLockout[]> =>
      guarded(async () => {
        const at = now.toISOString()
        const rows = await driver<LockoutRow[]>`
          SELECT own.id, own.kind, own.username, own.network, own.failures, own.last_failed_at, own.forgotten_at,
                 greatest(coalesce(account.failures, 1), 1) AS spread
          FROM audittrail_attempts own
          LEFT JOIN audittrail_attempts account ON account.key = own.account AND account.forgotten_at > ${at}::timestamptz
          WHERE own.forgotten_at > ${at}::timestamptz AND own.last_failed_at < ${at}::timestamptz + ${farAhead}::interval
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

    /** Forgets one counter; answers whether it was there. The account of a client has failed from one network less. */
    deleteLockout: (id: string): Promise<boolean> =>
      guarded(async () => {
        const [row] = await driver`
          WITH gone AS (DELETE FROM audittrail_attempts WHERE id = ${id} RETURNING account), less AS (
            UPDATE audittrail_attempts SET failures = greatest(failures - 1, 0) WHERE key IN (SELECT account FROM gone))
          SELECT count(*)::integer AS deleted FROM gone`
        return row?.deleted === 1
      }),

    /** Forgets all that was counted of a user; answers how many counters that were. */
    deleteFailuresOfUser: (username: string): Promise<number> =>
      guarded(async () => {
        const rows = await driver`
          DELETE FROM audittrail_attempts WHERE key IN (
            SELECT key FROM audittrail_attempts WHERE lower(username COLLATE "C") = lower(${username} COLLATE "C")
            ORDER BY kind DESC, key FOR UPDATE)
          RETURNING id`
        return rows.length
      }),

    /** Forgets all that was counted of a network; answers how many counters that were. Its accounts have failed from one less. */
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

    /**
     * Deletes at most `limit` counters that are forgotten, past those that another replica is deleting; answers how many. A client's
     * row stays while its account remembers that it has failed from there, or that network would be counted once more.
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

interface FailureCountRow {
  readonly kind: FailureKind
  readonly failures: number
  readonly last_failed_at: Date | string
  readonly forgotten_at: Date | string
}

interface LockoutRow extends FailureCountRow {
  readonly id: string
  readonly username: string | null
  readonly network: string | null
  readonly spread: number
}

/** Drizzle, once it shares a driver, has times come as text. */
function failureCountOf({ kind, failures, last_failed_at, forgotten_at }: FailureCountRow): FailureCount {
  return { kind, failures, last_failed_at: new Date(last_failed_at), forgotten_at: new Date(forgotten_at) }
}
