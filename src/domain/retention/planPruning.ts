import type { StoredEvent } from '../../db/audit/reading.ts'
import { AppError } from '../../error.ts'
import { carriedStates } from '../accountVerification/carried.ts'
import { audited } from '../audit/audited.ts'
import type { AuditRecord } from '../audit/record.ts'
import { parseGenuine } from '../audit/sequencing.ts'
import { checkRecord } from '../auditVerification/checkRecord.ts'
import { type Prunings, readPrunings } from '../auditVerification/prunings.ts'
import { hasKeyChange } from '../auditVerification/records.ts'
import { isLostBy } from '../auditVerification/verify.ts'
import type { Deps } from '../deps.ts'
import { createProcessNumbers, type ProcessNumbers } from '../eventNumbers/processNumbers.ts'
import { type Range, rangesText } from '../eventNumbers/ranges.ts'
import { appendLeaves, edgeWidths, emptyEdge, tileWidth } from '../transparency/tree.ts'
import { nameOf } from '../witnesses/witnessBook.ts'

/** What to prune: records older than a time, or below an index. */
export type PruningRange = { readonly before: Date } | { readonly below: number }

type PruningDeps = Pick<Deps, 'database' | 'audit' | 'log' | 'source' | 'clock' | 'witnesses'>

const day = 86_400_000
/** Milliseconds that a command may run. */
const longestCommand = 7 * day
/** Characters of the processes in one record, so that it fits into a leaf. */
const maxListed = 5000

/**
 * Records that the beginning of the log is to be pruned, in whole tiles. Returns the index from
 * which records remain. Undefined: there is nothing to prune. Throws `refused` if a record was
 * tampered with.
 */
export async function planPruning(deps: PruningDeps, by: string, range: PruningRange): Promise<number | undefined> {
  const { audit } = deps.database
  const { keys } = deps.audit
  const head = await audit.readHead(edgeWidths)
  const size = Math.min(head.size, await witnessedSize(deps))
  const isKeyChanged = await hasKeyChange(audit, keys, head.size)
  const numbers = createProcessNumbers()
  const isTrusted = ({ sealProblem }: { readonly sealProblem: string | undefined }) =>
    sealProblem === undefined || isKeyChanged
  const prunings = await readPrunings(audit, keys, isKeyChanged, numbers)
  const pending = await readPending(deps)
  const read = await readTiles(deps, {
    numbers,
    isTrusted,
    isOld: isOldIn(range, deps.clock(), pending.oldest),
    size,
    prunings,
  })
  if (read.minimumIndex <= prunings.minimumIndex()) return undefined
  const { lasting, recent } = await processesOf(deps, read, numbers, pending.processes)
  // Events of the last day may still be on their way.
  const before = Math.max(0, Math.min(read.newest + 1, pending.oldest, deps.clock() - day))
  const carried = await carriedStates(audit, keys, read.minimumIndex)
  // Another replica has pruned in the meantime. The next plan begins where that ended.
  if (!carried) return undefined
  const pruned = {
    event: 'audit.pruned' as const,
    by,
    minimum_index: read.minimumIndex,
    before: new Date(before).toISOString(),
    key_changed: isKeyChanged,
    carried: carried.length,
  }
  await audited(
    deps,
    async () => {},
    (): AuditRecord[] => [
      ...carried,
      ...partsOf(lasting).map((processes) => ({ event: { ...pruned, processes } })),
      ...(recent.length === 0 ? [] : partsOf(recent)).map((processes) => ({
        event: { ...pruned, processes, recent: true },
      })),
    ],
    'unlimited',
  )
  return read.minimumIndex
}

/** A witness that lags behind what was pruned gets no proof of consistency any more. */
async function witnessedSize({ database, witnesses }: PruningDeps): Promise<number> {
  if (!witnesses) return Number.POSITIVE_INFINITY
  const names = new Set(witnesses.witnesses.map(({ key }) => nameOf(key)))
  const known = (await database.audit.listWitnesses()).filter(({ name }) => names.has(name))
  // One that has seen nothing needs no proof.
  return Math.min(...known.map(({ size }) => size).filter((size) => size > 0))
}

/** An event that is not in the log yet must not become older than what was pruned. */
async function readPending({ database: { audit }, audit: { keys } }: PruningDeps) {
  const processes = new Set<string>()
  let oldest = Number.POSITIVE_INFINITY
  for (let after: string | undefined; ; ) {
    const page = await audit.listPending(after, 2000)
    if (page.length === 0) return { processes, oldest }
    after = page.at(-1)?.id
    for (const row of page) {
      const leaf = parseGenuine(keys, row)
      if (!leaf) continue
      processes.add(leaf.p)
      oldest = Math.min(oldest, Date.parse(leaf.time))
    }
  }
}

type IsOld = (record: { readonly index: number; readonly time: number }) => boolean

/** A time in the future is that of a wrong clock, and holds nothing back. */
function isOldIn(range: PruningRange, now: number, oldestPending: number): IsOld {
  if ('below' in range) return ({ index }) => index < range.below
  const before = Math.min(range.before.getTime(), oldestPending)
  return ({ time }) => time < before || time > now + day
}

interface ReadTiles {
  readonly minimumIndex: number
  /** The time of the newest record. */
  readonly newest: number
  /** Servers that have not recorded that they stopped. */
  readonly servers: ReadonlySet<string>
  /** Processes with recent records. */
  readonly recent: ReadonlySet<string>
  /** The sizes of the log at restores that were accepted. */
  readonly restoredSizes: readonly number[]
}

interface Reading {
  readonly numbers: ProcessNumbers
  readonly isTrusted: (record: { readonly sealProblem: string | undefined }) => boolean
  readonly isOld: IsOld
  readonly size: number
  readonly prunings: Pick<Prunings, 'minimumIndex' | 'mayGoOn'>
}

/** Reads whole tiles from the beginning of the log, as long as all of their records are old. */
async function readTiles(
  deps: PruningDeps,
  { numbers, isTrusted, isOld, size, prunings }: Reading,
): Promise<ReadTiles> {
  const { database, audit, clock } = deps
  const since = clock() - longestCommand
  const earlier = prunings.mayGoOn(since)
  const [servers, recent] = [new Set(earlier.servers), new Set(earlier.commands)]
  const restoredSizes: number[] = []
  let newest = Number.NEGATIVE_INFINITY
  // Anyone who writes SQL may have raised the stored one.
  let minimumIndex = Math.min(prunings.minimumIndex(), (await database.audit.readPruning()).minimumIndex)
  for (;;) {
    const end = minimumIndex + tileWidth
    if (end > size) return { minimumIndex, newest, servers, recent, restoredSizes }
    const tile = await database.audit.listEvents({ from: minimumIndex, before: end, limit: tileWidth })
    const isOldRecord = ({ index, time }: StoredEvent) => isOld({ index, time: time.getTime() })
    if (tile.length === tileWidth && !tile.every(isOldRecord))
      return { minimumIndex, newest, servers, recent, restoredSizes }
    await requireIntact(deps, tile, minimumIndex)
    for (const event of tile) {
      const checked = checkRecord(audit.keys, event)
      const { leaf } = checked
      if (!leaf || checked.problems.length > 0 || !isTrusted(checked)) throw tampered(event.index)
      numbers.add(leaf, event.index)
      if (leaf.type === 'audit.lost') numbers.accept(leaf.facts.process, leaf.facts.numbers)
      if (leaf.type === 'audit.restored') restoredSizes.push(Number(leaf.facts.size))
      if (leaf.type === 'server.started') servers.add(leaf.p)
      if (leaf.type === 'server.stopped') servers.delete(leaf.p)
      const time = Date.parse(leaf.time)
      if (time <= clock()) newest = Math.max(newest, time)
      if (time >= since) recent.add(leaf.p)
    }
    minimumIndex = end
  }
}

/**
 * Throws `refused` if the records are not those of the tree: pruning them would delete the
 * evidence.
 */
async function requireIntact({ database }: PruningDeps, tile: readonly StoredEvent[], start: number): Promise<void> {
  const [stored] = await database.audit.listNodes(1, start / tileWidth, 1)
  const hashes = tile.map(({ hash }) => hash)
  const [node] = appendLeaves({ ...emptyEdge, size: start }, hashes).nodes
  const isIntact =
    tile.length === tileWidth && stored?.index === node?.index && node?.hash.equals(stored?.hash ?? node.hash)
  if (!isIntact || !stored) throw tampered(start)
}

function tampered(index: number): AppError {
  return new AppError(
    'refused',
    `The audit log was tampered with at record ${index} or after it, so nothing is pruned from there on. Run "audittrail audit verify".`,
  )
}

/** Returns the numbers of processes that may have later events, with recent commands apart. */
async function processesOf(
  { database: { audit } }: PruningDeps,
  { minimumIndex, servers, recent, restoredSizes }: ReadTiles,
  numbers: ProcessNumbers,
  pending: ReadonlySet<string>,
): Promise<{ readonly lasting: readonly string[]; readonly recent: readonly string[] }> {
  for (const lost of [...numbers.removed()].filter((events) => isLostBy(restoredSizes, events)))
    numbers.addPruned(lost.process, `${lost.first}-${lost.last}`)
  const explained = new Map(numbers.explained())
  const later = await audit.findLaterProcesses([...explained.keys()], minimumIndex)
  const kept = new Set([...later, ...servers, ...pending])
  const entriesIn = (processes: ReadonlySet<string>) =>
    [...explained].flatMap(([process, ranges]) => (processes.has(process) ? entriesOf(process, ranges) : []))
  return { lasting: entriesIn(kept), recent: entriesIn(recent.difference(kept)) }
}

const rangesPerEntry = 100

function entriesOf(process: string, ranges: readonly Range[]): string[] {
  return Array.from({ length: Math.ceil(ranges.length / rangesPerEntry) }, (_, part) => {
    const some = ranges.slice(part * rangesPerEntry, (part + 1) * rangesPerEntry)
    return `${process} ${rangesText(some)}`
  })
}

/** Splits the entries so that each part fits into a record. Returns one part at least. */
function partsOf(entries: readonly string[]): readonly (readonly string[])[] {
  const parts: string[][] = [[]]
  let length = 0
  for (const entry of entries) {
    length += entry.length
    if (length > maxListed) {
      parts.push([])
      length = entry.length
    }
    parts.at(-1)?.push(entry)
  }
  return parts
}
