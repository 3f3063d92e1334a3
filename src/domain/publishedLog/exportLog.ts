import type { Entry } from '../../db/audit/publishing.ts'
import { AppError } from '../../error.ts'
import { type AuditDeps, recordAlone } from '../audit/audited.ts'
import { joinNotes } from '../transparency/notes.ts'
import { tilePath, writeBundle } from '../transparency/tiles.ts'
import { type Edge, hashLeaf, perfectRoot, rootOf, tileWidth } from '../transparency/tree.ts'
import { logKeys, type PublishedHead, type PublishingDeps, publishedHead, readHashes } from './published.ts'

/** A file of an export, or a further part of it. */
export interface ExportedPart {
  /** Relative to the directory. */
  readonly path: string
  readonly content: Buffer
}

export interface LogExport {
  readonly size: number
  /** Hashes that do not fit the records under them or the checkpoint above them. */
  readonly mismatches: number
}

type ExportDeps = PublishingDeps & AuditDeps

const bundlesPerRead = 8
const checkpointsPerRead = 1000

/**
 * Yields the log as the files of a directory that is a tlog-tiles log, the checkpoint last. Throws
 * `refused` if a record or node is missing.
 */
export async function* exportLog(
  deps: ExportDeps,
  by: string,
  { personal }: { readonly personal: boolean },
): AsyncGenerator<ExportedPart, LogExport> {
  const head = await publishedHead(deps)
  const { size, root, note } = head
  // If it cannot be recorded, nothing is exported.
  await recordAlone(deps, { event: { event: 'audit.exported', by, format: 'tlog-tiles', personal } })
  const { current, former } = await logKeys(deps)
  yield { path: 'log.vkey', content: Buffer.from(`${current}\n`) }
  if (former.length > 0) yield { path: 'former.vkeys', content: Buffer.from(former.map((key) => `${key}\n`).join('')) }
  if (personal) yield { path: 'private.ndjson', content: Buffer.alloc(0) }
  const { minimumIndex } = await deps.database.audit.readPruning()
  const tree = createTreeCheck()
  yield* exportEntries(deps, { from: minimumIndex, size }, personal, tree)
  yield* exportNodes(deps, size, minimumIndex / tileWidth, tree)
  yield* exportCheckpoints(deps, head)
  yield { path: 'checkpoint', content: Buffer.from(note) }
  const isSigned = rootOf({ size, levels: tree.levels() }).equals(root)
  return { size, mismatches: tree.mismatches() + (isSigned ? 0 : 1) }
}

async function* exportEntries(
  { database: { audit } }: ExportDeps,
  { from, size }: { readonly from: number; readonly size: number },
  personal: boolean,
  tree: TreeCheck,
) {
  for (let first = from; first < size; ) {
    const end = Math.min(size, first + bundlesPerRead * tileWidth)
    const entries = await audit.listEntries(first, end, end - first, personal ? 'with personal texts' : undefined)
    if (entries.length < end - first) throw incomplete()
    for (let start = 0; start < entries.length; start += tileWidth) {
      const part = entries.slice(start, start + tileWidth)
      const hashes = part.map(({ hash }) => hash)
      const tile = { index: (first + start) / tileWidth, width: part.length }
      yield { path: tilePath({ level: 'entries', ...tile }), content: writeBundle(part.map(({ leaf }) => leaf)) }
      yield { path: tilePath({ level: 0, ...tile }), content: Buffer.concat(hashes) }
      tree.add(
        0,
        hashes,
        part.map(({ leaf }) => hashLeaf(leaf)),
      )
    }
    if (personal) yield { path: 'private.ndjson', content: Buffer.from(entries.map(personalLine).join('')) }
    first = end
  }
}

function personalLine({ index, byPrivate, aboutPrivate }: Entry): string {
  return `${JSON.stringify({ index, by: byPrivate, about: aboutPrivate })}\n`
}

/** Pruned tiles are known by their nodes alone, which the checkpoint covers. */
async function* exportNodes(deps: ExportDeps, size: number, pruned: number, tree: TreeCheck) {
  for (let level = 1, count = Math.floor(size / tileWidth); count > 0; level++, count = Math.floor(count / tileWidth)) {
    const unchecked = level === 1 ? pruned : 0
    const expected = tree.parents(level)
    for (let first = 0; first < count; first += tileWidth) {
      const width = Math.min(tileWidth, count - first)
      const hashes = await readHashes(deps, level, first, width)
      if (!hashes) throw incomplete()
      yield { path: tilePath({ level, index: first / tileWidth, width }), content: Buffer.concat(hashes) }
      const under = hashes.map((hash, at) => (first + at < unchecked ? hash : expected[first + at - unchecked]))
      tree.add(level, hashes, under)
    }
  }
}

async function* exportCheckpoints({ database: { audit } }: ExportDeps, { size, note: newest }: PublishedHead) {
  yield { path: 'checkpoints', content: Buffer.alloc(0) }
  for (let from = 0; from <= size; ) {
    const page = await audit.listCheckpoints(from, checkpointsPerRead)
    const kept = page.filter((checkpoint) => checkpoint.size <= size)
    if (kept.length > 0)
      yield {
        path: 'checkpoints',
        content: Buffer.from(joinNotes(kept.map((at) => (at.size === size ? newest : at.note)))),
      }
    if (kept.length < checkpointsPerRead) return
    from = (kept.at(-1)?.size ?? size) + 1
  }
}

function incomplete(): AppError {
  return new AppError(
    'refused',
    'A record or a node of the audit log is missing, so it cannot be exported. Run "audittrail audit verify".',
  )
}

/** Compares the tiles of a level with the hashes of what is under them. */
function createTreeCheck() {
  const parents: Buffer[][] = []
  const edge: (readonly Buffer[])[] = []
  let mismatches = 0
  return {
    /** Adds the next tile of a level. */
    add: (level: number, hashes: readonly Buffer[], expected: readonly (Buffer | undefined)[]) => {
      mismatches += hashes.filter((hash, at) => expected[at]?.equals(hash) !== true).length
      const isFull = hashes.length === tileWidth
      edge[level] = isFull ? [] : hashes
      if (!isFull) return
      const above = parents[level + 1] ?? []
      parents[level + 1] = above
      above.push(perfectRoot(hashes, 0, tileWidth))
    },
    /** Returns the hashes that a level must have by the tiles under it. */
    parents: (level: number): readonly Buffer[] => parents[level] ?? [],
    levels: (): Edge['levels'] => edge,
    mismatches: () => mismatches,
  }
}

type TreeCheck = ReturnType<typeof createTreeCheck>
