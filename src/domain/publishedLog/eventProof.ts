import { AppError } from '../../error.ts'
import { parseLeaf } from '../audit/leaf.ts'
import { isCommitted } from '../audit/sequencing.ts'
import { proveInclusion, verifyInclusion } from '../transparency/proofs.ts'
import { subtreesFrom } from '../transparency/tileReader.ts'
import type { TlogProof } from '../transparency/tlogProof.ts'
import { hashLeaf, tileWidth } from '../transparency/tree.ts'
import { type PublishingDeps, publishedHead, readHashes } from './published.ts'

/** A record with the proof that it is in the log, and the personal texts that it commits to. */
export interface ProvenEvent {
  readonly leaf: string
  readonly proof: TlogProof
  /** Null: there is none, or it was erased. */
  readonly byPrivate: string | null
  readonly aboutPrivate: string | null
}

/**
 * Throws `not_found` if the published log has no such record, and `refused` if the record is not
 * the one that the checkpoint signs.
 */
export async function proveEvent(deps: PublishingDeps, index: number): Promise<ProvenEvent> {
  const { size, root, note } = await publishedHead(deps)
  if (index >= size)
    throw new AppError('not_found', `The audit log has no record ${index}: its newest checkpoint covers ${size}.`)
  const [entry] = await deps.database.audit.listEntries(index, index + 1, 1, 'with personal texts')
  if (!entry) throw await missing(deps, index)
  const { leaf, byPrivate, aboutPrivate } = entry
  const read = subtreesFrom(size, async (tile) => {
    const hashes = await readHashes(deps, tile.level, tile.index * tileWidth, tile.width)
    return hashes ?? Promise.reject(changed(index, 'cannot be proven'))
  })
  const hashes = await proveInclusion(index, size, read)
  if (!verifyInclusion({ index, size, leafHash: hashLeaf(leaf), proof: hashes, root }))
    throw changed(index, 'is not the one that the checkpoint signs')
  const parsed = parseLeaf(leaf)
  const texts = [
    [parsed?.by.private, byPrivate],
    [parsed?.about?.private, aboutPrivate],
  ] as const
  if (texts.some(([commitment, text]) => text !== null && !isCommitted(commitment, text)))
    throw changed(index, 'has a personal text that it does not commit to')
  return { leaf, proof: { index, hashes, note }, byPrivate, aboutPrivate }
}

async function missing({ database }: PublishingDeps, index: number): Promise<AppError> {
  const { minimumIndex } = await database.audit.readPruning()
  if (index >= minimumIndex) return changed(index, 'is missing')
  return new AppError('not_found', `Record ${index} was pruned. The audit log begins at record ${minimumIndex}.`)
}

function changed(index: number, problem: string): AppError {
  return new AppError('refused', `Record ${index} of the audit log ${problem}. Run "audittrail audit verify".`)
}
