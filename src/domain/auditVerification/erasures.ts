import type { StoredEvent } from '../../db/audit/reading.ts'
import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { ParsedLeaf } from '../audit/leaf.ts'
import { parseGenuine } from '../audit/sequencing.ts'
import { merged, type Range, rangesIn } from '../eventNumbers/ranges.ts'
import { checkRecord, type PersonalColumn } from './checkRecord.ts'
import type { Find } from './findings.ts'

/** What the records of erasures say was erased. */
export interface Erasures {
  /** Adds what a record says, if it is one of an erasure. */
  add(leaf: ParsedLeaf): void
  /** Returns whether the text of a record may be missing. */
  covers(leaf: ParsedLeaf, index: number, column: PersonalColumn): boolean
}

interface Aged {
  readonly olderThan: number
  readonly below: number
}

export function createErasures(): Erasures {
  /** Indexes below which the texts of a party were erased. */
  const parties = new Map<string, number>()
  const pending = new Set<string>()
  let entered: readonly Range[] = []
  let aged: readonly Aged[] = []

  return {
    add: ({ type, about, facts }) => {
      if (type !== 'audit.erased') return
      const { below, older_than, indexes } = facts
      if (Array.isArray(facts.pending)) for (const event of facts.pending) pending.add(String(event))
      if (typeof indexes === 'string') entered = merged([...entered, ...rangesIn(indexes.split(','))])
      if (typeof below !== 'number') return
      if (about?.id !== undefined) parties.set(about.id, Math.max(below, parties.get(about.id) ?? 0))
      else if (typeof older_than === 'string') aged = withLatest(aged, { olderThan: Date.parse(older_than), below })
    },
    covers: ({ p, n, time, by, about }, index, column) => {
      const isListed = pending.has(`${p} ${n}`)
      const isErased = (id: string | undefined) => {
        const below = id === undefined ? undefined : parties.get(id)
        return below !== undefined && (isListed || index < below)
      }
      if (column === 'about_private' && isErased(about?.id)) return true
      if (column === 'by_private' && isErased(by.id ?? about?.id)) return true
      if (column === 'by_private' && by.id === undefined && isListed) return true
      if (column === 'by_private' && entered.some(([first, last]) => first <= index && index <= last)) return true
      return aged.some(({ olderThan, below }) => Date.parse(time) < olderThan && index < below)
    },
  }
}

/** Leaves out those that the latest one includes. */
function withLatest(aged: readonly Aged[], latest: Aged): readonly Aged[] {
  return [...aged.filter(({ olderThan, below }) => olderThan > latest.olderThan || below > latest.below), latest]
}

/** Names the texts that someone removed, and not those that were erased on request or by age. */
export interface ErasureCheck {
  /** Adds texts that are missing beside a leaf. */
  missing(leaf: ParsedLeaf, event: StoredEvent, columns: readonly PersonalColumn[]): void
  /** Reports those that no record of an erasure covers, and counts the others. */
  report(): Promise<void>
  /** Returns how many missing texts were erased. */
  count(): number
}

interface MissingText {
  readonly leaf: ParsedLeaf
  readonly event: StoredEvent
  readonly column: PersonalColumn
}

const pageSize = 500

export function createErasureCheck(
  audit: Database['audit'],
  keys: AuditKeys,
  isKeyChanged: boolean,
  find: Find,
): ErasureCheck {
  const erasures = createErasures()
  let from = 0
  let count = 0
  let missing: MissingText[] = []

  /**
   * Reads what is new. An event leaves the pending ones for the log, so they are read in this
   * order.
   */
  const read = async () => {
    for (let after: string | undefined; ; ) {
      const page = await audit.listPending(after, pageSize)
      if (page.length === 0) break
      after = page.at(-1)?.id
      for (const event of page) {
        const leaf = parseGenuine(keys, event)
        if (leaf) erasures.add(leaf)
      }
    }
    for (;;) {
      const page = await audit.listEvents({ type: 'audit.erased', from, limit: pageSize })
      for (const event of page) {
        const { leaf, sealProblem } = checkRecord(keys, event)
        if (leaf && (sealProblem === undefined || isKeyChanged)) erasures.add(leaf)
      }
      from = (page.at(-1)?.index ?? from - 1) + 1
      if (page.length < pageSize) return
    }
  }

  return {
    missing: (leaf, event, columns) => {
      missing.push(...columns.map((column) => ({ leaf, event, column })))
    },
    report: async () => {
      const isRemoved = ({ leaf, event, column }: MissingText) => !erasures.covers(leaf, event.index, column)
      // A text is erased in the transaction of its record, so that is there by now.
      if (missing.some(isRemoved)) await read()
      const removed = missing.filter(isRemoved)
      for (const { event, column } of removed) find(`had its ${column} removed`, event)
      count += missing.length - removed.length
      missing = []
    },
    count: () => count,
  }
}
