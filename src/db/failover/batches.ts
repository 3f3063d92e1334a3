import { AppError } from '../../error.ts'
import { repeated } from '../repeat.ts'

/** What the attempts to repeat revocations have done so far. */
export interface RepetitionProgress {
  /** Revocations that were undone, and are made again. */
  repeated: number
  /** Changes that a rule of the database rejects, by kind and id. No other attempt would help. */
  readonly rejected: Set<string>
}

/** Rows for one statement, which must stay below the server's time limit. */
const batchSize = 500

export function batchesOf<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  const count = Math.ceil(items.length / batchSize)
  return Array.from({ length: count }, (_, index) => items.slice(index * batchSize, (index + 1) * batchSize))
}

/** `repeat` is one transaction, and returns how many changes it has made again. */
export async function inBatches<Item>(
  items: readonly Item[],
  repeat: (batch: readonly Item[]) => Promise<number>,
  progress: RepetitionProgress,
): Promise<void> {
  for (const batch of batchesOf(items)) {
    // Replicas repeat their revocations at the same time, and may lock each other out.
    const count = await repeated(() => repeat(batch))
    progress.repeated += count
  }
}

/** Like `inBatches`, but skips the changes that a rule of the database rejects. */
export async function inBatchesUnlessRejected<Item extends { readonly kind: string; readonly id: string }>(
  items: readonly Item[],
  repeat: (batch: readonly Item[]) => Promise<number>,
  progress: RepetitionProgress,
): Promise<void> {
  const keyOf = ({ kind, id }: Item) => `${kind} ${id}`
  for (const batch of batchesOf(items.filter((item) => !progress.rejected.has(keyOf(item))))) {
    try {
      await inBatches(batch, repeat, progress)
    } catch (error) {
      if (!isRejection(error)) throw error
      const [first] = batch
      if (first && batch.length === 1) {
        progress.rejected.add(keyOf(first))
        continue
      }
      const middle = Math.ceil(batch.length / 2)
      await inBatchesUnlessRejected(batch.slice(0, middle), repeat, progress)
      await inBatchesUnlessRejected(batch.slice(middle), repeat, progress)
    }
  }
}

/** Returns whether another attempt would fail too. */
export function isRejection(error: unknown): boolean {
  return error instanceof AppError && error.code !== 'unavailable'
}
