import type postgres from 'postgres'
import { AppError } from '../../error.ts'

/**
 * What statements and the reading of their results depend on. A database or a role may have other
 * defaults; those of the connection take precedence.
 */
const required = {
  TimeZone: 'UTC',
  standard_conforming_strings: 'on',
  IntervalStyle: 'postgres',
  default_transaction_isolation: 'read committed',
  quote_all_identifiers: 'off',
}

/**
 * Time limits that the server enforces, in milliseconds: a statement must not keep its locks after
 * its connection is discarded. Just below the limit of an operation (`pool.ts`), so that the
 * connection survives.
 */
const timeLimits = {
  lock_timeout: '2000',
  statement_timeout: '3000',
  idle_in_transaction_session_timeout: '10000',
}

/** Returns the startup parameters of a connection to a server. */
export function serverParameters(isPooled: boolean): Record<string, string> {
  if (!isPooled) return { ...required, ...timeLimits }
  // PgBouncer restores these for each transaction. It rejects others and shares the session.
  const { TimeZone, standard_conforming_strings } = required
  return { DateStyle: 'ISO, MDY', TimeZone, standard_conforming_strings }
}

/** The startup parameters of the embedded database. */
export const embeddedParameters: Record<string, string> = { ...required, DateStyle: 'ISO' }

/** Where the server is in the history of the database. Every promotion starts a new timeline. */
export interface Timeline {
  readonly number: number
  /**
   * The WAL position up to which it replayed before its promotion, unless it has restarted since.
   */
  readonly forkedAt: string | null
}

export interface SessionFacts {
  /** What a cancel request needs, and the time at which the server process started. */
  readonly backend: { readonly pid: number; readonly secret: number; readonly startedAt: string }
  /** Whether the process id is the server's own, and not that of a pooler. */
  readonly isDirect: boolean
  /** Whether a pooler gives each transaction another session of the server. */
  readonly isPooled: boolean
  /** Identifies one run of the server: the time at which it started. */
  readonly instance: string
  readonly timeline: Timeline | undefined
  /** A statement on its own would run at another isolation level than read committed. */
  readonly needsTransactions: boolean
}

/**
 * The first query: signs in and checks what startup parameters cannot establish. Throws
 * `unavailable` unless the server accepts writes (the standby of a failover does not, and its
 * sessions are stale) or `isProbe`, and `refused` if a pooler ignores the parameters.
 */
export async function checkSession(client: postgres.Sql, isPooled: boolean, isProbe = false): Promise<SessionFacts> {
  // transaction_timeout would end an import, idle_session_timeout every idle connection. `ISO`
  // keeps the order of day and month, which triggers may rely on.
  const checking = client`
    SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS is_read_only,
           CASE WHEN ${isPooled} THEN current_setting('DateStyle') ELSE set_config('DateStyle', 'ISO', false) END AS date_style,
           current_setting('default_transaction_isolation') AS isolation, pg_backend_pid() AS pid,
           to_char(pg_postmaster_start_time(), 'YYYYMMDDHH24MISSUS') AS instance,
           (SELECT to_char(backend_start, 'YYYYMMDDHH24MISSUS') FROM pg_stat_get_activity(pg_backend_pid())) AS started_at,
           (SELECT count(set_config(name, '0', false)) FROM unnest(ARRAY['transaction_timeout', 'idle_session_timeout']) AS name
            WHERE NOT ${isPooled} AND current_setting(name, true) <> '0') AS lifted`.execute()
  // After the first query, which gets the error if the server rejects the sign-in.
  const reading = readTimeline(client)
  const rows = await checking
  const [facts] = rows
  if (facts?.is_read_only && !isProbe)
    throw new AppError('unavailable', 'The database is read-only: a standby, or set to read-only (25006).')
  if (!facts?.date_style.startsWith('ISO'))
    throw new AppError(
      'refused',
      "The connection pooler in DATABASE_URL ignores the startup parameter DateStyle. Set it for the role: ALTER ROLE … SET datestyle TO 'ISO'.",
    )
  const { pid, secret } = rows.state as unknown as SessionFacts['backend']
  return {
    backend: { pid, secret, startedAt: facts.started_at },
    isDirect: !isPooled && pid === facts.pid,
    isPooled,
    instance: facts.instance,
    timeline: await reading,
    needsTransactions: facts.isolation !== 'read committed',
  }
}

/**
 * Undefined on servers without these functions, such as Amazon Aurora. The control file would lag
 * behind a promotion.
 */
async function readTimeline(client: postgres.Sql): Promise<Timeline | undefined> {
  try {
    const [row] = await client<Timeline[]>`
      SELECT CASE WHEN pg_is_in_recovery() THEN 0
                  ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer END AS number,
             pg_last_wal_replay_lsn()::text AS "forkedAt"`
    return row
  } catch {
    return undefined
  }
}

/** Returns the run of the server and its timeline. */
export async function readRun(client: postgres.Sql): Promise<Pick<SessionFacts, 'instance' | 'timeline'>> {
  const reading = readTimeline(client)
  const [row] = await client`SELECT to_char(pg_postmaster_start_time(), 'YYYYMMDDHH24MISSUS') AS instance`
  return { instance: row?.instance, timeline: await reading }
}
