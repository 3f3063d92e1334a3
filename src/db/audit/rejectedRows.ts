import type { TransactionSql } from 'postgres'
import { databaseFailure } from '../failure.ts'
import type { Batch, PendingEvent, SequencedEvent } from './batch.ts'
import { moveEvents } from './writeBatch.ts'

/** Rows that are tried first. If the database rejects each, the problem is not in the rows. */
const samples = 16

/** The failure of a batch, whose rejected rows are to be found. */
export interface FailedAttempt {
  readonly error: unknown
  readonly rejected: string[]
}

/**
 * Returns the batch without the rows that the database rejects, which are refused. Throws the error
 * of the batch if that would set aside every row: then the problem is not in the rows.
 */
export async function withoutRejected(
  transaction: TransactionSql,
  batch: Batch,
  { error, rejected }: FailedAttempt,
  replan: (pending: readonly PendingEvent[]) => Batch | undefined,
): Promise<Batch> {
  const found = await findRejected(transaction, batch.accepted)
  const isNew = batch.accepted.some(({ refused }) => refused === 'never')
  if (found.size === 0 || (found.size === batch.accepted.length && isNew)) throw error
  rejected.push(...found)
  const rest = replan(batch.accepted.filter(({ id }) => !found.has(id)))
  const refused = [...batch.refused, ...found]
  return rest ? { ...rest, refused } : { ...batch, accepted: [], refused }
}

/**
 * Returns the ids of events that the database does not let into the log, because of a constraint or
 * a trigger. Returns all if it rejects every sample. Leaves no change.
 */
async function findRejected(
  transaction: TransactionSql,
  events: readonly SequencedEvent[],
): Promise<ReadonlySet<string>> {
  const step = Math.max(1, events.length / samples)
  const sampled = Array.from({ length: Math.min(samples, events.length) }, (_, n) => events[Math.floor(n * step)])
  let isAnyAccepted = false
  await transaction`SAVEPOINT search`
  for (const event of sampled) isAnyAccepted ||= event !== undefined && (await isAccepted(transaction, [event]))
  await transaction`ROLLBACK TO SAVEPOINT search`
  if (!isAnyAccepted) return new Set(events.map(({ id }) => id))
  const rejected = new Set<string>()
  const search = async (range: readonly SequencedEvent[]): Promise<void> => {
    const [first] = range
    if (first === undefined || (await isAccepted(transaction, range))) return
    if (range.length === 1) {
      rejected.add(first.id)
      return
    }
    const middle = Math.ceil(range.length / 2)
    await search(range.slice(0, middle))
    await search(range.slice(middle))
  }
  // In their order, and each after those that were accepted: two may exclude each other.
  await search(events)
  await transaction`ROLLBACK TO SAVEPOINT search`
  return rejected
}

/** Returns whether the database has accepted the events. */
async function isAccepted(transaction: TransactionSql, events: readonly SequencedEvent[]): Promise<boolean> {
  await transaction`SAVEPOINT trial`
  try {
    await moveEvents(transaction, events)
    await transaction`RELEASE SAVEPOINT trial`
    return true
  } catch (error) {
    if (databaseFailure(error).code === 'unavailable') throw error
    await transaction`ROLLBACK TO SAVEPOINT trial`
    return false
  }
}
