import type { Find } from '../auditVerification/findings.ts'
import { linesOf } from './lines.ts'

/** The personal texts of a record. */
export interface PersonalLine {
  readonly index: number
  readonly by: string | null
  readonly about: string | null
}

/** Yields the lines of `private.ndjson` that are in order, and reports the others. */
export async function* readPersonal(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
  find: Find,
): AsyncGenerator<PersonalLine, undefined> {
  let number = 0
  let previous = -1
  for await (const text of linesOf(chunks)) {
    const name = `line ${++number} of private.ndjson`
    const line = parseLine(text)
    if (!line) find(`${name} is malformed`)
    else if (line.index >= size) find(`${name} is of no record`)
    else if (line.index <= previous) find(`${name} is out of order`)
    else {
      previous = line.index
      yield line
    }
  }
  return undefined
}

function parseLine(text: string): PersonalLine | undefined {
  try {
    const { index, by, about } = JSON.parse(text) ?? {}
    const isLine = Number.isSafeInteger(index) && index >= 0 && isText(by) && isText(about)
    return isLine ? { index, by, about } : undefined
  } catch {
    return undefined
  }
}

function isText(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}
