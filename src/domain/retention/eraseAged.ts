import { audited } from '../audit/audited.ts'
import type { Deps } from '../deps.ts'

type AgedDeps = Pick<Deps, 'database' | 'audit' | 'log' | 'clock'>

/** Records that one transaction examines. */
const batch = 2000
/** Milliseconds between two of them. */
const pause = 50
const hour = 3_600_000
const day = 24 * hour

/**
 * Returns a function that erases the personal texts of records older than `days`, in batches until
 * `isEnding`, and records each batch. Returns how many records had one. Whole hours are erased, so
 * that a log has few records of it.
 */
export function createAgedErasure(deps: AgedDeps, days: number, isEnding: () => boolean): () => Promise<number> {
  /** Erased up to here. Records may enter the log late, so the last day before it is read again. */
  let erasedBefore = 0
  return async () => {
    const before = Math.floor((deps.clock() - days * day) / hour) * hour
    if (days === 0 || before <= erasedBefore) return 0
    let erased = 0
    const start = Math.max(0, erasedBefore - day)
    let after: Parameters<typeof deps.database.audit.eraseAged>[1] | undefined = { time: `${start}000`, index: '-1' }
    while (after && !isEnding()) {
      const part = await eraseBatch(deps, new Date(before), after)
      erased += part.erased
      after = part.next
      if (after) await Bun.sleep(pause)
    }
    if (!after) erasedBefore = before
    return erased
  }
}

function eraseBatch(deps: AgedDeps, before: Date, after: { readonly time: string; readonly index: string }) {
  return audited(
    deps,
    ({ audit }) => audit.eraseAged(before, after, batch),
    ({ erased, below }) =>
      erased === 0
        ? []
        : [{ event: { event: 'audit.erased', by: 'retention', erased, below, older_than: before.toISOString() } }],
  )
}
