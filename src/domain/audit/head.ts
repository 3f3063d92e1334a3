import type { StoredHead } from '../../db/audit/sequence.ts'
import type { Database } from '../../db/database.ts'
import type { Checkpoint } from '../transparency/checkpoint.ts'
import { appendLeaves, type Edge, edgeWidths, emptyEdge, rootOf } from '../transparency/tree.ts'
import type { Recorder } from './recorder.ts'
import { isSuccessor } from './restored.ts'
import { checkHead, type Inconsistency, type PlannedBatch } from './sequencing.ts'

/**
 * The newest signed head that this process has seen. The log in the database must continue it, or
 * be a successor that `audit restored` has accepted.
 */
export interface Head {
  /** Follows the log to its newest checkpoint. Returns why it does not continue the head. */
  follow(): Promise<Inconsistency | undefined>
  /** Returns the edge of the head if it is the stored one. */
  edgeAt(stored: StoredHead): Edge | undefined
  /** Follows a batch of this process that was committed. */
  advance(origin: string, batch: PlannedBatch): void
  /** Returns the head as it was signed. Undefined: the log is empty, or not followed yet. */
  signed(): SignedHead | undefined
}

export interface SignedHead {
  readonly origin: string
  readonly size: number
  readonly note: string
}

/** A head that was kept outside of the database. */
export type Anchor = Pick<Checkpoint, 'origin' | 'size' | 'root'>

interface HeadDeps {
  readonly database: Pick<Database, 'audit'>
  readonly audit: Recorder
  /**
   * Returns the head of an earlier run, which the log must contain; `none` if there is none, and
   * undefined if it cannot be read now.
   */
  readonly readAnchor?: (() => Promise<Anchor | 'none' | undefined>) | undefined
}

const hashesPerRead = 4096

export function followHead({ database, audit: { keys }, readAnchor }: HeadDeps): Head {
  let followed: { readonly origin: string; readonly edge: Edge; readonly note: string } | undefined
  let anchor: Anchor | 'none' | undefined = readAnchor ? undefined : 'none'

  async function extend(edge: Edge, size: number): Promise<Edge> {
    let extended = edge
    while (extended.size < size) {
      const hashes = await database.audit.listHashes(extended.size, size, hashesPerRead)
      if (hashes.length === 0) break
      extended = appendLeaves(extended, hashes).edge
    }
    return extended
  }

  /** Returns why a log whose newest root was checked does not contain the anchor. */
  async function compareAnchor(
    { origin, size, note, minimumIndex }: StoredHead,
    root: Buffer,
  ): Promise<Inconsistency | undefined> {
    anchor ??= await readAnchor?.()
    if (anchor === undefined || anchor === 'none') return undefined
    if (note === undefined) return 'rolled_back'
    if (origin !== anchor.origin) {
      if (isSuccessor(origin, anchor.origin)) return undefined
      return isSuccessor(anchor.origin, origin) ? 'rolled_back' : 'renamed'
    }
    if (size < anchor.size) return 'rolled_back'
    // Its records are pruned.
    if (anchor.size < minimumIndex) return undefined
    const edge = { size: anchor.size, levels: await database.audit.readEdge(edgeWidths(anchor.size), anchor.size) }
    if (!rootOf(edge).equals(anchor.root)) return 'rewritten'
    return rootOf(await extend(edge, size)).equals(root) ? undefined : 'rewritten'
  }

  async function follow(): Promise<Inconsistency | undefined> {
    const head = await database.audit.readHead(edgeWidths, keys.firstOrigin())
    const { origin, size, note } = head
    const checked = checkHead(keys, head)
    if ('inconsistency' in checked) return checked.inconsistency
    const root = rootOf(checked.edge)
    const problem = await compareAnchor(head, root)
    if (problem !== undefined) return problem
    // From here on, the head in memory takes its place.
    if (anchor !== undefined) anchor = 'none'
    if (note === undefined) return followed && 'rolled_back'
    if (!followed || isSuccessor(origin, followed.origin)) {
      followed = { origin, edge: checked.edge, note }
      return undefined
    }
    if (origin !== followed.origin) return isSuccessor(followed.origin, origin) ? 'rolled_back' : 'renamed'
    if (size < followed.edge.size) return 'rolled_back'
    // What this process has not followed is pruned. The signature is all that is left to check.
    const isBehind = followed.edge.size < head.minimumIndex
    const edge = isBehind ? checked.edge : await extend(followed.edge, size)
    if (!rootOf(edge).equals(root)) return 'rewritten'
    followed = { origin, edge, note }
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
    advance: (origin, { accepted, edge, note }) => {
      if (accepted.length > 0) followed = { origin, edge, note }
    },
    signed: () => followed && { origin: followed.origin, size: followed.edge.size, note: followed.note },
  }
}
