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

/** Numbers listed in one event. A later one lists the rest. */
const maxListed = 200

export function createEventNumbers(): EventNumbers {
  let next = 1
  const inFlight = new Map<number, { readonly lost: readonly number[]; readonly unsure: readonly number[] }>()
  let unreported: { lost: number[]; unsure: number[] } = { lost: [], unsure: [] }
  return {
    take: () => {
      const n = next++
      const lost = unreported.lost.slice(0, maxListed)
      const unsure = unreported.unsure.slice(0, maxListed)
      // What is not listed yet must not count as settled.
      const unlisted = [...unreported.lost.slice(maxListed), ...unreported.unsure.slice(maxListed)]
      // The first in flight is the lowest.
      const [lowest = n] = inFlight.keys()
      const done = Math.min(lowest, ...unlisted) - 1
      inFlight.set(n, { lost, unsure })
      return { n, done, lost: rangesOf(lost), unsure: rangesOf(unsure) }
    },
    settle: (n, settlement) => {
      const reported = inFlight.get(n)
      if (!reported) return
      inFlight.delete(n)
      if (settlement === 'committed') {
        // Until an event that lists them is committed, every later one does.
        unreported = {
          lost: unreported.lost.filter((number) => !reported.lost.includes(number)),
          unsure: unreported.unsure.filter((number) => !reported.unsure.includes(number)),
        }
      } else unreported[settlement].push(n)
    },
  }
}

function rangesOf(numbers: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const number of [...numbers].sort((one, other) => one - other)) {
    const last = ranges.at(-1)
    if (last && number === last[1] + 1) last[1] = number
    else ranges.push([number, number])
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}
