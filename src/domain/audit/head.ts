import type { StoredHead } from '../../db/audit/sequence.ts'
import type { Database } from '../../db/database.ts'
import { appendLeaves, type Edge, edgeWidths, emptyEdge, rootOf } from '../transparency/tree.ts'
import type { Recorder } from './recorder.ts'
import { isSuccessor } from './restored.ts'
import { checkHead, type Inconsistency, type PlannedBatch } from './sequencing.ts'

/**
 * The newest signed head that this process has seen. The log in the database must continue it, or be
 * a successor that `audit restored` has accepted.
 */
export interface Head {
  /** Follows the log to its newest checkpoint. Returns why it does not continue the head. */
  follow(): Promise<Inconsistency | undefined>
  /** Returns the edge of the head if it is the stored one. */
  edgeAt(stored: StoredHead): Edge | undefined
  /** Follows a batch of this process that was committed. */
  advance(origin: string, batch: PlannedBatch): void
  size(): number
}

interface HeadDeps {
  readonly database: Pick<Database, 'audit'>
  readonly audit: Recorder
}

const hashesPerRead = 4096

export function followHead({ database, audit: { keys } }: HeadDeps): Head {
  let followed: { readonly origin: string; readonly edge: Edge } | undefined

  async function extend(edge: Edge, size: number): Promise<Edge> {
    let extended = edge
    while (extended.size < size) {
      const hashes = await database.audit.listHashes(extended.size, size, hashesPerRead)
      if (hashes.length === 0) break
      extended = appendLeaves(extended, hashes).edge
    }
    return extended
  }

  async function follow(): Promise<Inconsistency | undefined> {
    const head = await database.audit.readHead(edgeWidths, keys.firstOrigin())
    const { origin, size, note } = head
    const checked = checkHead(keys, head)
    if ('inconsistency' in checked) return checked.inconsistency
    if (note === undefined) return followed && 'rolled_back'
    if (!followed || isSuccessor(origin, followed.origin)) {
      followed = { origin, edge: checked.edge }
      return undefined
    }
    if (origin !== followed.origin) return isSuccessor(followed.origin, origin) ? 'rolled_back' : 'renamed'
    if (size < followed.edge.size) return 'rolled_back'
    const edge = await extend(followed.edge, size)
    if (!rootOf(edge).equals(rootOf(checked.edge))) return 'rewritten'
    followed = { origin, edge }
    return undefined
  }

  function edgeAt(stored: StoredHead): Edge | undefined {
    const checked = checkHead(keys, stored)
    if ('inconsistency' in checked) return undefined
    if (!followed) return stored.note === undefined ? emptyEdge : undefined
    const isFollowed = stored.origin === followed.origin && rootOf(checked.edge).equals(rootOf(followed.edge))
    return stored.note !== undefined && isFollowed ? followed.edge : undefined
  }

  return {
    follow,
    edgeAt,
    advance: (origin, { accepted, edge }) => {
      if (accepted.length > 0) followed = { origin, edge }
    },
    size: () => followed?.edge.size ?? 0,
  }
}
