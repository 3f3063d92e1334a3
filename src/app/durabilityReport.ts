import type { Durability } from '../db/failover/durability.ts'
import type { Failover } from '../db/failover/failover.ts'
import type { Log } from '../telemetry/log.ts'

/** What is known about replication, read every few seconds. */
export interface DurabilityReport {
  /** Undefined before the first reading. */
  latest(): Durability | undefined
  stop(): void
}

/** Milliseconds between two readings. */
const interval = 10_000

/** Logs whether commits wait for a standby: now and after each change. */
export function startDurabilityReport(failover: Pick<Failover, 'readDurability'>, log: Log): DurabilityReport {
  let latest: Durability | undefined
  const read = async () => {
    const durability = await failover.readDurability()
    const [before, after] = [latest && JSON.stringify(factsOf(latest)), JSON.stringify(factsOf(durability))]
    latest = durability
    if (after === before) return
    const { text: detail, isProblem } = detailOf(durability)
    const facts = { ...factsOf(durability), detail }
    if (isProblem) log.warn('database.durability', facts)
    else log.info('database.durability', facts)
  }
  const attempt = () => void read().catch(() => {})
  attempt()
  const timer = setInterval(attempt, interval)
  return { latest: () => latest, stop: () => clearInterval(timer) }
}

function factsOf({ isSynchronous, synchronousCommit, standbys, standbysInStep }: Durability) {
  return {
    synchronous: isSynchronous,
    synchronous_commit: synchronousCommit,
    standbys,
    in_step: standbysInStep ?? 'unknown',
  }
}

function detailOf({ isSynchronous, isFlushed, standbys, standbysInStep }: Durability): {
  readonly text: string
  readonly isProblem: boolean
} {
  const hidden =
    standbysInStep === undefined
      ? '; to see which standbys are in step: GRANT pg_monitor TO the role in DATABASE_URL'
      : ''
  if (!isFlushed)
    return {
      text: `fsync or synchronous_commit is off: a crash of PostgreSQL loses acknowledged changes${hidden}`,
      isProblem: true,
    }
  if (isSynchronous && standbysInStep === 0)
    return {
      text: 'commits wait for a synchronous standby, and none is in step: changes get 503 until one is',
      isProblem: true,
    }
  if (isSynchronous)
    return { text: `commits wait for a standby: a failover loses no acknowledged change${hidden}`, isProblem: false }
  return {
    text:
      standbys === 0
        ? 'no standby: the loss of the primary loses what its backups lack'
        : `commits do not wait for a standby: a failover may lose acknowledged changes, see synchronous_standby_names${hidden}`,
    isProblem: false,
  }
}
