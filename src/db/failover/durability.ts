import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'

/** Whether an acknowledged change survives the loss of the primary. */
export interface Durability {
  /** Commits wait for a standby. */
  readonly isSynchronous: boolean
  readonly synchronousCommit: string
  readonly synchronousStandbyNames: string
  /** Commits wait for the primary's own disk. */
  readonly isFlushed: boolean
  /** Standbys that are connected. */
  readonly standbys: number
  /** Those of them that commits may wait for. Undefined if the role may not see it. */
  readonly standbysInStep: number | undefined
}

/** Does not wait for a standby: the server may have none. */
const local = ['off', 'local']

export function readDurability({ client }: Pick<Connection, 'client'>): Promise<Durability> {
  return guarded(async () => {
    const [row] = await client<Row[]>`
      SELECT current_setting('synchronous_commit') AS commit, current_setting('synchronous_standby_names') AS names,
             current_setting('fsync') AS fsync, count(*)::integer AS standbys,
             count(*) FILTER (WHERE state IS NULL)::integer AS hidden,
             count(*) FILTER (WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum'))::integer AS in_step
      FROM pg_stat_replication WHERE state IS NULL OR state IN ('streaming', 'catchup')`
    const { commit, names, fsync, standbys, hidden, in_step } = row as Row
    return {
      isSynchronous: names.trim() !== '' && !local.includes(commit),
      synchronousCommit: commit,
      synchronousStandbyNames: names,
      isFlushed: commit !== 'off' && fsync === 'on',
      standbys,
      standbysInStep: hidden > 0 ? undefined : in_step,
    }
  })
}

interface Row {
  readonly commit: string
  readonly names: string
  readonly fsync: string
  readonly standbys: number
  readonly hidden: number
  readonly in_step: number
}
