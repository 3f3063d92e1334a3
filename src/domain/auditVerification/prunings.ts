import type { StoredHead } from '../../db/audit/sequence.ts'
import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { ParsedLeaf } from '../audit/leaf.ts'
import type { ProcessNumbers } from '../eventNumbers/processNumbers.ts'
import { type GrowingTree, type Node, tileWidth } from '../transparency/tree.ts'
import { checkRecord } from './checkRecord.ts'

/** What the records of prunings in the log say was removed from its beginning. */
export interface Prunings {
  /** Reads the records that are new. */
  read(): Promise<void>
  /** Records below it may be missing. With a size, only records of prunings below it count. */
  minimumIndex(size?: number): number
  /** Returns how many records of account states the pruning up to an index has. */
  carriedAt(minimumIndex: number): number
  /** Returns the minimum index of the pruning that is being carried out, given how far it is. */
  plannedFrom(index: number): number
  /**
   * Returns the index at which the tile of a record, or what is left of the log before it, begins.
   */
  startBefore(index: number): Promise<number>
  /**
   * Returns whether a record is older than those that a record before it has pruned. Takes them in
   * order.
   */
  isOlder(leaf: ParsedLeaf): boolean
  /** Begins with the records from an index on, as if those before had been taken. */
  skipTo(index: number): void
  /** Returns what the database says was pruned, and no record does. */
  problemsOf(head: Pick<StoredHead, 'minimumIndex' | 'prunedBefore'>): readonly string[]
  /** Returns the pruned processes that may go on: servers, and commands pruned after a time. */
  mayGoOn(since: number): { readonly servers: ReadonlySet<string>; readonly commands: ReadonlySet<string> }
  /** Returns whether SECRET_KEY was changed in what was pruned. */
  isKeyChanged(): boolean
  /**
   * Returns the time before which pending events may be copies of pruned records. Undefined: there
   * is none.
   */
  before(): Date | undefined
}

interface Pruning {
  readonly minimumIndex: number
  readonly before: number
  readonly isKeyChanged: boolean
  readonly processes: readonly string[]
  readonly isRecent: boolean
  readonly time: number
  /** Records of account states that were written with it. */
  readonly carried: number
}

const pageSize = 500

/** Reads what the log says. If SECRET_KEY was changed, a former key may have made the seals. */
export async function readPrunings(
  audit: Database['audit'],
  keys: AuditKeys,
  hasKeyChange: boolean,
  numbers?: Pick<ProcessNumbers, 'addPruned'>,
): Promise<Prunings> {
  const prunings = createPrunings(audit, keys, hasKeyChange, numbers)
  await prunings.read()
  return prunings
}

function createPrunings(
  audit: Database['audit'],
  keys: AuditKeys,
  hasKeyChange: boolean,
  numbers: Pick<ProcessNumbers, 'addPruned'> | undefined,
): Prunings {
  let from = 0
  const minimums: (Pruning & { readonly at: number })[] = []
  let [minimumIndex, before, isKeyChanged] = [0, Number.NEGATIVE_INFINITY, false]
  const servers = new Set<string>()
  const commands = new Map<string, number>()
  const add = (pruning: Pruning) => {
    minimumIndex = Math.max(minimumIndex, pruning.minimumIndex)
    before = Math.max(before, pruning.before)
    isKeyChanged ||= pruning.isKeyChanged
    for (const entry of pruning.processes) {
      const [process = '', ranges = ''] = entry.split(' ')
      numbers?.addPruned(process, ranges)
      if (pruning.isRecent) commands.set(process, pruning.time)
      else servers.add(process)
    }
  }
  const read = async () => {
    for (;;) {
      const page = await audit.listEvents({ type: 'audit.pruned', from, limit: pageSize })
      for (const event of page) {
        const { leaf, sealProblem } = checkRecord(keys, event)
        const isTrusted = sealProblem === undefined || hasKeyChange
        const pruning = leaf && isTrusted ? pruningOf(leaf) : undefined
        if (pruning && pruning.minimumIndex <= event.index) {
          minimums.push({ at: event.index, ...pruning })
          add(pruning)
        }
      }
      from = (page.at(-1)?.index ?? from - 1) + 1
      if (page.length < pageSize) return
    }
  }
  let readBefore = Number.NEGATIVE_INFINITY
  return {
    read,
    isOlder: (leaf) => {
      const isOlder = Date.parse(leaf.time) < readBefore
      readBefore = Math.max(readBefore, pruningOf(leaf)?.before ?? readBefore)
      return isOlder
    },
    skipTo: (index) => {
      readBefore = Math.max(readBefore, ...minimums.filter(({ at }) => at < index).map((pruning) => pruning.before))
    },
    startBefore: async (index) => {
      const tile = index - (index % tileWidth)
      if (tile > minimumIndex) await read()
      return Math.min(tile, minimumIndex)
    },
    minimumIndex: (size) =>
      size === undefined
        ? minimumIndex
        : Math.max(0, ...minimums.filter(({ at }) => at < size).map((pruning) => pruning.minimumIndex)),
    carriedAt: (index) => carriedAt(minimums, index),
    plannedFrom: (index) => plannedFrom(minimums, index),
    problemsOf: (head) => [
      ...(head.minimumIndex > minimumIndex
        ? [`the minimum index ${head.minimumIndex} has no record of a pruning`]
        : []),
      ...((head.prunedBefore?.getTime() ?? before) > before
        ? ['the time before which pending events are refused has no record of a pruning']
        : []),
    ],
    mayGoOn: (since) => ({
      servers,
      commands: new Set([...commands].flatMap(([process, time]) => (time >= since ? [process] : []))),
    }),
    isKeyChanged: () => isKeyChanged,
    before: () => (before === Number.NEGATIVE_INFINITY ? undefined : new Date(before)),
  }
}

function carriedAt(prunings: readonly Pruning[], index: number): number {
  return Math.max(0, ...prunings.filter(({ minimumIndex }) => minimumIndex === index).map(({ carried }) => carried))
}

function plannedFrom(prunings: readonly Pruning[], index: number): number {
  const planned = prunings.map(({ minimumIndex }) => minimumIndex).filter((minimum) => minimum >= index)
  return index === 0 || planned.length === 0 ? index : Math.min(...planned)
}

/** Returns what the record of a pruning says. Undefined for any other record. */
export function pruningOf({ type, time, facts }: ParsedLeaf): Pruning | undefined {
  const { minimum_index: minimum, before, key_changed, processes, recent, carried } = facts
  const isWhole =
    type === 'audit.pruned' &&
    typeof minimum === 'number' &&
    Number.isSafeInteger(minimum / tileWidth) &&
    typeof before === 'string' &&
    Array.isArray(processes)
  if (!isWhole) return undefined
  return {
    minimumIndex: minimum,
    before: Date.parse(before),
    isKeyChanged: key_changed === true,
    processes: processes.map(String).filter((entry) => /^\S+ \d+(-\d+)?(,\d+(-\d+)?)*$/.test(entry)),
    isRecent: recent === true,
    carried: typeof carried === 'number' ? carried : 0,
    time: Date.parse(time),
  }
}

const nodesPerPage = 2000

/**
 * Makes the tree that of the pruned records, whose tiles are known by their nodes alone. Returns
 * whether all nodes are there.
 */
export async function growFromNodes(
  audit: Database['audit'],
  tree: GrowingTree,
  size: number,
  check: (node: Node) => Promise<void>,
): Promise<boolean> {
  tree.restart()
  const tiles = size / tileWidth
  let next = 0
  while (next < tiles) {
    const page = await audit.listNodes(1, next, Math.min(nodesPerPage, tiles - next))
    for (const { index, hash } of page) {
      if (index !== next) return false
      for (const node of tree.appendTile(hash)) await check(node)
      next++
    }
    if (page.length === 0) return false
  }
  return true
}
