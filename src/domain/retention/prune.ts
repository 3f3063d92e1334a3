import type { Deps } from '../deps.ts'
import { finishPruning } from './finishPruning.ts'
import { planPruning } from './planPruning.ts'

export interface PruneResult {
  /** The log has records from this index on. */
  readonly minimumIndex: number
  readonly deleted: number
  /** Whether records stay until a server has added the record of the pruning to the log. */
  readonly isWaiting: boolean
}

/** Milliseconds that a server has to add a record to the log. */
const patience = 15_000
const pause = 100
const hour = 3_600_000

/**
 * Deletes what was planned, once the record of it is in the log. Waits for that, but not for long.
 */
export async function awaitPruning(deps: Deps, planned: number): Promise<PruneResult> {
  const end = deps.monotonicClock() + patience
  for (let deleted = 0; ; ) {
    const pruned = await finishPruning(deps)
    deleted += pruned.deleted
    const isWaiting = pruned.minimumIndex < planned
    if (!isWaiting || deps.monotonicClock() >= end) return { minimumIndex: pruned.minimumIndex, deleted, isWaiting }
    await Bun.sleep(pause)
  }
}

/**
 * Returns a function that prunes records older than `days`, once an hour, and always finishes what
 * was begun. Returns how many records it has deleted.
 */
export function createAgedPruning(deps: Deps, days: number, isEnding: () => boolean): () => Promise<number> {
  let plannedAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (days > 0 && deps.monotonicClock() - plannedAt >= hour) {
      plannedAt = deps.monotonicClock()
      await planPruning(deps, 'retention', { before: new Date(deps.clock() - days * 24 * hour) })
    }
    return (await finishPruning(deps, isEnding)).deleted
  }
}
