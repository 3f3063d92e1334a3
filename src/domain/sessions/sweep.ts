import type { SweepPosition, SweptBatch } from '../../db/statements/sessionSweep.ts'
import type { Deps } from '../deps.ts'

/** Rows deleted by one statement: few enough not to block other statements. */
const batch = 1000
/** Rows read by one statement where few are deleted. */
const readBatch = 5000
/** Milliseconds between two batches. */
const pause = 50
/** Every how many rounds sessions of older versions are read. */
const unscheduledRounds = 10

type SweepDeps = Pick<Deps, 'database' | 'clock' | 'metrics'>

/**
 * Deletes ended sessions in batches until none is left or `isEnding`. Returns how many. Replicas
 * may do so at the same time: each skips rows that another has locked.
 */
export async function sweepExpiredSessions(
  { database, clock, metrics }: SweepDeps,
  isEnding: () => boolean,
  round = 0,
): Promise<number> {
  const { sessionSweep } = database
  const count = metrics.sessionsSwept
  const now = () => new Date(clock())
  let swept = await sweep(batch, (at) => sessionSweep.deleteDueSessions(now(), at, batch), count, isEnding)
  if (round % unscheduledRounds === 0)
    swept += await sweep(
      readBatch,
      (at) => sessionSweep.deleteUnscheduledSessions(now(), at, readBatch),
      count,
      isEnding,
    )
  const epoch = await sessionSweep.findUnsweptEpoch()
  if (epoch === undefined) return swept
  swept += await sweep(readBatch, (at) => sessionSweep.deleteFormerSessions(at, readBatch), count, isEnding)
  if (!isEnding()) await sessionSweep.markEpochSwept(epoch)
  return swept
}

/** Deletes expired sign-in failures in the same way. */
export function sweepExpiredFailures(
  { database, clock, metrics }: SweepDeps,
  isEnding: () => boolean,
): Promise<number> {
  const deleteSome = async (): Promise<SweptBatch> => {
    const deleted = await database.throttle.deleteExpiredFailures(new Date(clock()), batch)
    return { seen: deleted, deleted, position: undefined }
  }
  return sweep(batch, deleteSome, metrics.failuresSwept, isEnding)
}

async function sweep(
  limit: number,
  deleteSome: (position: SweepPosition) => Promise<SweptBatch>,
  count: (deleted: number) => void,
  isEnding: () => boolean,
): Promise<number> {
  let swept = 0
  let position: SweepPosition
  while (!isEnding()) {
    const part = await deleteSome(position)
    position = part.position
    swept += part.deleted
    count(part.deleted)
    if (part.seen < limit) break
    await Bun.sleep(pause)
  }
  return swept
}
