import type { Find } from '../auditVerification/findings.ts'

/** The personal texts of a record. */
export interface PersonalLine {
  readonly index: number
  readonly by: string | null
  readonly about: string | null
}

/** A line has two texts of bounded size. */
const maxLine = 1_000_000

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

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  // Bytes that are no UTF-8 become characters that no record commits to.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = (lines.pop() ?? '').slice(0, maxLine)
    yield* lines
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
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
