/** The number of an event and what its process knows about earlier ones. Ranges such as `3-5,9`. */
export interface Numbers {
  readonly n: number
  /** Every number up to it has been settled. */
  readonly done: number
  /** Numbers of events that were certainly not committed. */
  readonly lost: string
  /** Numbers of events whose commit was not answered. */
  readonly unsure: string
}

export type Settlement = 'committed' | 'lost' | 'unsure'

/** Numbers the events of one process, so that one that is missing shows. */
export interface EventNumbers {
  take(): Numbers
  settle(n: number, settlement: Settlement): void
}

type Range = readonly [first: number, last: number]

interface Unreported {
  readonly lost: readonly Range[]
  readonly unsure: readonly Range[]
}

/** Ranges of a kind that one event lists. A later one lists the rest. */
const maxListed = 200

export function createEventNumbers(): EventNumbers {
  let next = 1
  const inFlight = new Map<number, Unreported>()
  // Ranges, since nothing is committed for as long as the database takes no changes.
  let unreported: Unreported = { lost: [], unsure: [] }
  return {
    take: () => {
      const n = next++
      const lost = unreported.lost.slice(0, maxListed)
      const unsure = unreported.unsure.slice(0, maxListed)
      // What is not listed yet must not count as settled.
      const unlisted = [unreported.lost[maxListed], unreported.unsure[maxListed]].flatMap((range) => range?.[0] ?? [])
      // The first in flight is the lowest.
      const [lowest = n] = inFlight.keys()
      const done = Math.min(lowest, ...unlisted) - 1
      inFlight.set(n, { lost, unsure })
      return { n, done, lost: textOf(lost), unsure: textOf(unsure) }
    },
    settle: (n, settlement) => {
      const reported = inFlight.get(n)
      if (!reported) return
      inFlight.delete(n)
      // Until an event that lists them is committed, every later one does.
      if (settlement === 'committed')
        unreported = {
          lost: without(unreported.lost, reported.lost),
          unsure: without(unreported.unsure, reported.unsure),
        }
      else unreported = { ...unreported, [settlement]: including(unreported[settlement], n) }
    },
  }
}

/** Returns the ranges with one more number, in order. */
function including(ranges: readonly Range[], n: number): readonly Range[] {
  const at = ranges.findLastIndex(([first]) => first < n) + 1
  const [before, after] = [ranges[at - 1], ranges[at]]
  const joinsBefore = before?.[1] === n - 1
  const joinsAfter = after?.[0] === n + 1
  const joined: Range = [joinsBefore ? before[0] : n, joinsAfter ? after[1] : n]
  return ranges.toSpliced(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), joined)
}

/**
 * Returns the ranges without numbers that others have. A range may have grown since it was listed.
 */
function without(ranges: readonly Range[], removed: readonly Range[]): readonly Range[] {
  return removed.reduce<readonly Range[]>(
    (rest, [from, to]) =>
      rest.flatMap(([first, last]): Range[] =>
        to < first || from > last
          ? [[first, last]]
          : [...(first < from ? [[first, from - 1] as const] : []), ...(to < last ? [[to + 1, last] as const] : [])],
      ),
    ranges,
  )
}

function textOf(ranges: readonly Range[]): string {
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}
