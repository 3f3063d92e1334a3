import type { Connection } from '../pool/connection.ts'
import type { AcknowledgedChanges, Creation } from './acknowledgedChanges.ts'
import { inBatches, isRejection, type RepetitionProgress } from './batches.ts'
import { createRecordedChanges, type RecordRepetition } from './recording.ts'
import { type FailoverStatements, failoverStatements } from './statements.ts'
import { repeatUserChanges } from './userRepetition.ts'

export interface Losses {
  /** Revocations that were undone, and are made again. */
  readonly repeated: number
  /** Rows that are gone. */
  readonly missing: number
}

export interface RepetitionOptions {
  /** Changes until then, by the monotonic clock, cannot be lost. Undefined: any may be. */
  readonly safeUntil: number | undefined
  /** The session of the server is shared by a pooler. */
  readonly isPooled: boolean
  /** Of earlier attempts at the same failover. */
  readonly progress: RepetitionProgress
  readonly record: RecordRepetition
}

/**
 * Makes every remembered revocation again that is undone, with its event, and no other change. If
 * it fails, the next attempt makes only those that remain.
 */
export async function repeatRevocations(
  connection: Connection,
  changes: Pick<AcknowledgedChanges, 'revocations' | 'creations'>,
  { safeUntil = Number.NEGATIVE_INFINITY, isPooled, progress, record }: RepetitionOptions,
): Promise<Losses> {
  const statements = failoverStatements(connection)
  const isUnsafe = ({ at }: { readonly at: number }) => at >= safeUntil
  const revocations = changes.revocations()
  const creations = changes.creations().filter(isUnsafe)
  if (revocations.length === 0 && creations.length === 0) return { repeated: progress.repeated, missing: 0 }
  if (!isPooled) await statements.commitLocally()
  // Nothing that comes later gives sessions and keys back, so every one is repeated.
  const recorded = createRecordedChanges(connection, record)
  const ids = revocations.flatMap(({ kind, id }) => (kind === 'session' ? [id] : []))
  const keys = revocations.flatMap((revocation) => (revocation.kind === 'api_key' ? [revocation.key] : []))
  await inBatches(ids, recorded('session', statements.endSessionsAgain), progress)
  await inBatches(keys, recorded('api_key', statements.revokeKeysAgain), progress)
  await repeatUserChanges(connection, revocations, { isUnsafe, progress, recorded })
  const missing = await countMissing(statements, creations)
  if (!isPooled) await statements.commitAsConfigured()
  return { repeated: progress.repeated, missing }
}

/** Missing rows are only reported, so a role that cannot read them gets its connection anyway. */
async function countMissing(statements: FailoverStatements, creations: readonly Creation[]): Promise<number> {
  try {
    return await statements.countMissing(creations)
  } catch (error) {
    if (isRejection(error)) return 0
    throw error
  }
}
