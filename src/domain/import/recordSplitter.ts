import { arrayElements, type Scanner } from './jsonArray.ts'

export const importFormats = ['ndjson', 'csv', 'json'] as const
export type ImportFormat = (typeof importFormats)[number]

/**
 * The bytes of one record; undefined if it exceeds the size limit. `place` is its line, in a JSON
 * document its number.
 */
export interface Slice {
  readonly place: number
  readonly bytes: Buffer | undefined
}

/** Bytes of one record, including everything else the exporting program knows about the user. */
const maximumRecordBytes = 1024 * 1024

const [lineFeed, quote, comma] = [0x0a, 0x22, 0x2c]
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/** Splits a file into its records, chunk by chunk. `isOfRealms` is for `arrayElements`. */
export async function* splitRecords(
  source: AsyncIterable<Uint8Array>,
  format: ImportFormat,
  isOfRealms: boolean,
): AsyncGenerator<Slice[]> {
  const scanner = { ndjson: lines, csv: csvLines, json: () => arrayElements(isOfRealms) }[format]()
  let [line, place, size, count] = [1, 1, 0, 0]
  let parts: Buffer[] = []
  const take = (): Slice => {
    const all = Buffer.concat(parts)
    const bytes = count++ === 0 && all.subarray(0, 3).equals(byteOrderMark) ? all.subarray(3) : all
    const slice = { place: format === 'json' ? count : place, bytes: size > maximumRecordBytes ? undefined : bytes }
    parts = []
    size = 0
    return slice
  }

  for await (const chunk of source) {
    const slices: Slice[] = []
    let from = -1
    const keep = (to: number) => {
      if (from >= 0 && size <= maximumRecordBytes) parts.push(Buffer.from(chunk.subarray(from, to)))
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
        if (step === 'discard') {
          parts = []
          size = 0
        }
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
 * A line break within quotation marks belongs to the record, up to the size limit. A mark opens
 * only at the start of a field or right after a closing one, so that a misplaced mark costs its own
 * record alone: csv-parse would lose the records after it, as after an oversized one.
 */
function csvLines(): Scanner {
  let isQuoted = false
  let last = lineFeed
  return {
    step: (byte, size) => {
      if (byte === quote) isQuoted = !isQuoted && [comma, lineFeed, quote].includes(last)
      last = byte
      if (byte !== lineFeed || (isQuoted && size <= maximumRecordBytes)) return 'inside'
      isQuoted = false
      return 'end'
    },
    end: () => {},
  }
}
