import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { SignedHead } from '../audit/head.ts'
import { type Checkpoint, readCheckpoint } from '../transparency/checkpoint.ts'

/** A checkpoint of this log, with its own signatures only. */
export type Target = Checkpoint & { readonly note: string }

interface TargetDeps {
  readonly database: Pick<Database, 'audit'>
  readonly keys: AuditKeys
  readonly clock: Clock
}

/** Milliseconds. */
const minute = 60_000

/**
 * Returns the newest checkpoint of the minute before, so that all replicas send the same one: a
 * quorum has cosigned one checkpoint. Without one, the newest.
 */
export async function findTarget({ database, keys, clock }: TargetDeps, head: SignedHead): Promise<Target | undefined> {
  const before = new Date(Math.floor(clock() / minute) * minute)
  const stored = (await database.audit.checkpointBefore(before)) ?? head
  const checkpoint = readCheckpoint(stored.note, head.origin, keys.signersFor(head.origin))
  // Only what this process has followed: never a checkpoint that was not committed.
  if (!checkpoint || checkpoint.size !== stored.size || stored.size > head.size) return undefined
  return { ...checkpoint, note: withoutCosignatures(stored.note, head.origin) }
}

function withoutCosignatures(note: string, origin: string): string {
  const end = note.lastIndexOf('\n\n') + 2
  const own = note
    .slice(end)
    .split('\n')
    .filter((line) => line.startsWith(`— ${origin} `))
  return note.slice(0, end) + own.map((line) => `${line}\n`).join('')
}
