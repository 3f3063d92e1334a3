import type { Find } from '../auditVerification/findings.ts'
import type { NoteReader } from './noteReader.ts'
import { openCheckpoint, type Trust } from './trust.ts'

/** A checkpoint that the records must fit. */
export interface Head {
  /** What a finding calls it. */
  readonly name: string
  readonly kind: 'served' | 'kept' | 'given'
  readonly size: number
  readonly root: Buffer
  /** Whether a known key signed it. */
  readonly isSigned: boolean
}

export interface ServedHead extends Head {
  /** The name of the log. */
  readonly origin: string
}

/** A checkpoint that the auditor has kept, with the name that the log had. */
export interface GivenCheckpoint extends ServedHead {
  readonly file: string
}

/** Yields the checkpoints that the export has kept, and reports what is wrong with them. */
async function* readKept(notes: NoteReader, trust: Trust, last: number, find: Find): AsyncGenerator<Head> {
  let number = 0
  let previous = -1
  let isWhole = true
  for await (const note of notes.notes()) {
    number++
    const name = `kept checkpoint ${number}`
    const opened = openCheckpoint(note, trust)
    if (typeof opened === 'string') {
      find(`${name} ${opened}`)
      isWhole = false
      continue
    }
    const { size, root, isSigned, problems } = opened
    if (size > last) isWhole = false
    for (const problem of problems) find(`${name} ${problem}`)
    if (size > last) find(`${name} (size ${size}) is beyond the end of the log at ${last}`)
    else if (size <= previous) find(`${name} (size ${size}) is out of order`)
    else {
      previous = size
      yield { name: `${name} (size ${size})`, kind: 'kept', size, root, isSigned }
    }
  }
  if (notes.rest() !== '') find(`the kept checkpoints are malformed after number ${number}`)
  else if (isWhole && previous < last && last > 0) find(`the kept checkpoints end before the checkpoint (size ${last})`)
}

/** Yields all checkpoints up to the served one by their sizes. */
export async function* headsInOrder(
  kept: NoteReader | undefined,
  given: readonly GivenCheckpoint[],
  served: Head,
  trust: Trust,
  find: Find,
): AsyncGenerator<Head, undefined> {
  const others: Head[] = given.filter(({ size }) => size <= served.size).toSorted((one, other) => one.size - other.size)
  for await (const head of kept ? readKept(kept, trust, served.size, find) : []) {
    while (others[0] && others[0].size < head.size) yield others.shift() as Head
    yield head
  }
  yield* others
  yield served
  return undefined
}
