import type { ParsedLeaf } from '../audit/leaf.ts'
import { acceptanceOf, namesOf } from '../audit/restored.ts'

/** A restore that was accepted: what the log had from this size on is lost. */
export interface Restore {
  /** The index of its record. */
  readonly index: number
  readonly from: string
  readonly size: number
  /** When, as the names of logs have it. */
  readonly time: string
}

export interface Restores {
  add(leaf: ParsedLeaf, index: number): void
  list(): readonly Restore[]
  /** Returns the restore that lost what a log of this name had above a size. */
  lossOf(name: string, size: number): Restore | undefined
}

/** `origin`: the current name. */
export function createRestores(origin: string): Restores {
  const list: Restore[] = []
  return {
    add: ({ type, time, facts: { from, size } }, index) => {
      if (type !== 'audit.restored' || typeof from !== 'string' || typeof size !== 'number') return
      list.push({ index, from, size, time: time.replaceAll(/\D/g, '') })
    },
    list: () => list,
    lossOf: (name, size) => {
      if (name === origin || namesOf(name).at(-1) !== namesOf(origin).at(-1)) return undefined
      const own = list.findIndex(({ from }) => from === name)
      // A name that only an abandoned copy of the log had.
      const first = own >= 0 ? own : list.findIndex(({ time }) => time > acceptanceOf(name))
      return first < 0 ? undefined : list.slice(first).find((restore) => restore.size < size)
    },
  }
}
