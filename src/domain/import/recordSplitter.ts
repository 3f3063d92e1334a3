import { AppError } from '../../error.ts'

export const importFormats = ['ndjson', 'csv', 'json'] as const
export type ImportFormat = (typeof importFormats)[number]

/** The bytes of one record; undefined where they were more than we hold. */
export interface Slice {
  readonly place: number
  readonly bytes: Buffer | undefined
}

/** Bytes of one record, the whole of a user with all that another program knows of it. */
const longestRecord = 1024 * 1024

/** What a byte is to the record that is being read: a part of it, nothing, or what stands behind it. */
type Step = 'inside' | 'outside' | 'end'

interface Scanner {
  /** Throws `refused` where nothing of a file may stand any more. */
  step(byte: number, size: number): Step
  /** Throws `refused` where a file must not end here. */
  end(): void
}

const [lineFeed, quote, backslash, comma] = [0x0a, 0x22, 0x5c, 0x2c]
const [braceOpen, braceClose, bracketOpen, bracketClose] = [0x7b, 0x7d, 0x5b, 0x5d]
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/** Takes a file apart at the ends of its records, chunk by chunk. */
export async function* splitRecords(source: AsyncIterable<Uint8Array>, format: ImportFormat): AsyncGenerator<Slice[]> {
  const scanner = { ndjson: lines, csv: quotedLines, json: elements }[format]()
  let [line, place, size, count] = [1, 1, 0, 0]
  let parts: Buffer[] = []
  const take = (): Slice => {
    const all = Buffer.concat(parts)
    const bytes = count++ === 0 && all.subarray(0, 3).equals(byteOrderMark) ? all.subarray(3) : all
    const slice = { place: format === 'json' ? count : place, bytes: size > longestRecord ? undefined : bytes }
    parts = []
    size = 0
    return slice
  }

  for await (const chunk of source) {
    const slices: Slice[] = []
    let from = -1
    const keep = (to: number) => {
      if (from >= 0 && size <= longestRecord) parts.push(Buffer.from(chunk.subarray(from, to)))
      else parts = []
      from = -1
    }
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number
      const step = scanner.step(byte, size)
      if (step === 'inside') {
        if (size++ === 0) place = line
        if (from < 0) from = at
      } else {
        if (from >= 0) keep(at)
        if (step === 'end' && size > 0) slices.push(take())
      }
      if (byte === lineFeed) line++
    }
    if (from >= 0) keep(chunk.length)
    yield slices
  }
  scanner.end()
  if (size > 0) yield [take()]
}

function lines(): Scanner {
  return { step: (byte) => (byte === lineFeed ? 'end' : 'inside'), end: () => {} }
}

/**
 * A line break within quotation marks belongs to the record; not where the record has grown past all reason. A mark opens at
 * the beginning of a field, and behind one that closes: a stray one elsewhere costs its own record alone.
 */
function quotedLines(): Scanner {
  let isQuoted = false
  let last = lineFeed
  return {
    step: (byte, size) => {
      if (byte === quote) isQuoted = !isQuoted && [comma, lineFeed, quote].includes(last)
      last = byte
      if (byte !== lineFeed || (isQuoted && size <= longestRecord)) return 'inside'
      isQuoted = false
      return 'end'
    },
    end: () => {},
  }
}

/** The elements of the one array: the document itself, or the member `users` of the document. */
function elements(): Scanner {
  let depth = 0
  let isText = false
  let isEscaped = false
  let isObject = false
  let name = ''
  /** The depth within the array, once it has begun. */
  let within: number | undefined
  let isOver = false
  let hasBegun = false

  const step = (byte: number): Step => {
    if (isOver && depth === 0 && byte > 0x20) throw moreBehind()
    if (isText) {
      if (isEscaped) isEscaped = false
      else if (byte === backslash) isEscaped = true
      else if (byte === quote) isText = false
      if (isText && isObject && depth === 1 && name.length < 8) name += String.fromCharCode(byte)
      return element()
    }
    if (byte === quote) {
      isText = true
      if (isObject && depth === 1) name = ''
      return element()
    }
    if (byte === braceOpen || byte === bracketOpen) {
      const isInside = element()
      if (depth++ === 0) isObject = byte === braceOpen
      const isTheArray = byte === bracketOpen && (isObject ? depth === 2 && name === 'users' : depth === 1)
      if (isTheArray) {
        if (isOver) throw moreBehind()
        within = depth
        return 'outside'
      }
      return isInside
    }
    if (byte === braceClose || byte === bracketClose) {
      depth--
      if (within === undefined || depth >= within) return element()
      within = undefined
      isOver = true
      hasBegun = false
      return 'end'
    }
    if (byte === comma && depth === within) {
      hasBegun = false
      return 'end'
    }
    return byte <= 0x20 && !hasBegun ? 'outside' : element()
  }

  function element(): Step {
    if (within === undefined) return 'outside'
    hasBegun = true
    return 'inside'
  }

  /** Two files in one, or the member twice: what is read must be all that there is. */
  const moreBehind = () =>
    new AppError('refused', 'The file has more JSON behind its users: give one document at a time. Nothing went in.')

  const end = () => {
    if (isOver && depth === 0) return
    throw new AppError(
      'refused',
      within === undefined && !isOver
        ? 'The file is neither a JSON array of users nor an object with such an array named "users". One object a line is --format ndjson.'
        : 'The file ends in the middle of its JSON: nothing went in.',
    )
  }
  return { step, end }
}
