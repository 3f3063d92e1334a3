import type { Batch, PendingEvent, SequencedEvent } from '../../db/audit/batch.ts'
import type { SequenceInput, StoredHead } from '../../db/audit/sequence.ts'
import { readCheckpoint, readUnverified, writeCheckpoint } from '../transparency/checkpoint.ts'
import { appendLeaves, type Edge, edgeWidths, hashLeaf, rootOf } from '../transparency/tree.ts'
import type { AuditKeys } from './auditKeys.ts'
import { commitmentOf, type ParsedLeaf, parseLeaf } from './leaf.ts'

/** Why the log cannot be continued. */
export type Inconsistency = 'signature' | 'root' | 'beyond_head' | 'emptied' | 'rolled_back' | 'renamed' | 'rewritten'

export type CheckedHead = { readonly edge: Edge } | { readonly inconsistency: Inconsistency }

/**
 * Checks the newest checkpoint and the hashes under it. A sequencer that trusted them would sign
 * what someone else wrote there.
 */
export function checkHead(keys: AuditKeys, head: StoredHead): CheckedHead {
  const edge: Edge = { size: head.size, levels: head.edge }
  if (head.lastIndex + 1 > head.size) return { inconsistency: 'beyond_head' }
  // The name is stored with the first checkpoint.
  if (head.note === undefined) return head.isNamed ? { inconsistency: 'emptied' } : { edge }
  const checkpoint = readCheckpoint(head.note, head.origin, keys.signersFor(head.origin))
  if (!checkpoint || checkpoint.size !== head.size) return { inconsistency: 'signature' }
  return hasRoot(head, checkpoint.root) ? { edge } : { inconsistency: 'root' }
}

function hasRoot({ size, edge }: StoredHead, root: Buffer): boolean {
  const isComplete = edgeWidths(size).every((width, level) => edge[level]?.length === width)
  return isComplete && rootOf({ size, levels: edge }).equals(root)
}

/**
 * Returns the newest checkpoint with a signature of SECRET_KEY, after the former key was lost.
 * Undefined if there is none, or if the records under it were changed.
 */
export function signAgain(keys: AuditKeys, head: StoredHead): string | undefined {
  const { note, origin, size } = head
  const checkpoint = note === undefined ? undefined : readUnverified(note, origin)
  if (checkpoint?.size !== size || !hasRoot(head, checkpoint.root)) return undefined
  return writeCheckpoint(checkpoint, keys.signersFor(origin))
}

/**
 * Returns whether SECRET_KEY itself, and none of the previous ones, has signed the newest
 * checkpoint.
 */
export function isSignedByCurrentKey(keys: AuditKeys, { note, origin }: StoredHead): boolean {
  return note !== undefined && readCheckpoint(note, origin, keys.signersFor(origin).slice(0, 1)) !== undefined
}

export interface PlannedBatch extends Batch {
  /** The edge of the tree after it. */
  readonly edge: Edge
}

/** Returns what a batch of pending events adds to the log. Undefined: nothing. */
export function planBatch(
  keys: AuditKeys,
  edge: Edge,
  { head, pending, known }: SequenceInput,
): PlannedBatch | undefined {
  if (pending.length === 0) return undefined
  const taken = new Set(known)
  const accepted: SequencedEvent[] = []
  const refused: string[] = []
  for (const row of pending) {
    const parsed = parseGenuine(keys, row)
    const number = `${row.process} ${row.n}`
    if (!parsed || taken.has(number) || isFromBefore(head.prunedBefore, parsed)) {
      refused.push(row.id)
      continue
    }
    taken.add(number)
    accepted.push(sequenced(keys, row, parsed, edge.size + accepted.length))
  }
  const appended = appendLeaves(
    edge,
    accepted.map(({ hash }) => hash),
  )
  const root = rootOf(appended.edge)
  const checkpoint = { origin: head.origin, size: appended.edge.size, root }
  const note = writeCheckpoint(checkpoint, keys.signersFor(head.origin))
  return { accepted, refused, nodes: appended.nodes, edge: appended.edge, size: checkpoint.size, root, note }
}

/** Returns whether an event may be a copy of a pruned record. */
export function isFromBefore(time: Date | undefined, leaf: Pick<ParsedLeaf, 'time'>): boolean {
  return time !== undefined && Date.parse(leaf.time) < time.getTime()
}

/**
 * Returns the leaf of a row that this service wrote as it is, or whose texts this service erased.
 */
export function parseGenuine(keys: AuditKeys, row: PendingEvent): ParsedLeaf | undefined {
  const parsed = parseLeaf(row.leaf)
  if (!parsed || !keys.isMac(macTextOf(parsed, row), row.mac)) return undefined
  const isWhole =
    parsed.p === row.process &&
    parsed.n === row.n &&
    (row.byPrivate === null || isCommitted(parsed.by.private, row.byPrivate)) &&
    (row.aboutPrivate === null || isCommitted(parsed.about?.private, row.aboutPrivate))
  return isWhole ? parsed : undefined
}

type PendingTexts = Pick<PendingEvent, 'leaf' | 'byPrivate' | 'aboutPrivate'>

/**
 * Returns what the MAC of a pending event is made of: the leaf, and which of its personal texts
 * were erased. So no one else can remove one.
 */
export function macTextOf(parsed: ParsedLeaf | undefined, { leaf, byPrivate, aboutPrivate }: PendingTexts): string {
  const erased = [
    ...(parsed?.by.private !== undefined && byPrivate === null ? ['by'] : []),
    ...(parsed?.about?.private !== undefined && aboutPrivate === null ? ['about'] : []),
  ]
  // A leaf is JSON, which escapes NUL.
  return erased.length === 0 ? leaf : `${leaf}\0erased ${erased.join()}`
}

/** Returns whether a personal text is the one that a leaf commits to. */
export function isCommitted(commitment: string | undefined, text: string | null): boolean {
  return text === null ? commitment === undefined : commitment === commitmentOf(text)
}

function sequenced(keys: AuditKeys, row: PendingEvent, parsed: ParsedLeaf, index: number): SequencedEvent {
  const hash = hashLeaf(row.leaf)
  return { ...row, index, hash, seal: keys.sealOf(index, hash), ...columnsOf(parsed) }
}

/** Returns the filter columns that repeat what a leaf says. */
export function columnsOf({ time, type, by, about, outcome }: ParsedLeaf) {
  return { time, type, byId: by.id ?? null, aboutId: about?.id ?? null, outcome }
}
