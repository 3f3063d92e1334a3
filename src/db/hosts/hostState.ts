import type postgres from 'postgres'

/** What one host of several says about itself. */
export interface HostState {
  readonly isStandby: boolean
  /** Read-only by its settings, such as a primary whose disk is full. */
  readonly isReadOnly: boolean
  /** Grows by one with each promotion. Unless `isExact`, a standby may be on a higher one. */
  readonly timeline: number
  readonly isExact: boolean
  /** The end of its write-ahead log, in bytes. */
  readonly position: number
}

/**
 * The control file lags after a promotion, so a primary names its timeline by the WAL file it
 * writes. A standby's is exact only if the role may read the state of its WAL receiver.
 */
const query = `
  SELECT is_standby, current_setting('transaction_read_only') = 'on' AS is_read_only,
         NOT is_standby OR received_tli IS NOT NULL AS is_exact,
         CASE WHEN is_standby THEN
                GREATEST((SELECT timeline_id FROM pg_control_checkpoint()),
                         (SELECT min_recovery_end_timeline FROM pg_control_recovery()), received_tli)
              ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
         END::text AS timeline,
         pg_wal_lsn_diff(CASE WHEN is_standby THEN GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                              ELSE pg_current_wal_insert_lsn() END, '0/0')::text AS position
  FROM (SELECT pg_is_in_recovery() AS is_standby, (SELECT received_tli FROM pg_stat_wal_receiver)) AS host`

interface Row {
  readonly is_standby: boolean
  readonly is_read_only: boolean
  readonly is_exact: boolean
  readonly timeline: string
  readonly position: string
}

export async function readHostState(client: postgres.Sql): Promise<HostState> {
  const [row] = await client.unsafe<Row[]>(query)
  return {
    isStandby: row?.is_standby === true,
    isReadOnly: row?.is_read_only === true,
    timeline: Number(row?.timeline),
    isExact: row?.is_exact === true,
    position: Number(row?.position),
  }
}
