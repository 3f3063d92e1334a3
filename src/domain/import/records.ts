import { isUtf8 } from 'node:buffer'
import { AppError } from '../../error.ts'
import { shapeOfJson } from '../../jsonShape.ts'
import { csvHeader, csvRecord, csvRows, looksLikeCsvHeader, refuseOtherSeparator } from './csv.ts'
import type { Fields } from './importedUser.ts'
import { type ImportFormat, type Slice, splitRecords } from './recordSplitter.ts'

/** A record, or why it cannot be read. `place` is its line, in a JSON document its number. */
export type ImportRecord =
  | { readonly place: number; readonly fields: Fields }
  | { readonly place: number; readonly error: string }

/**
 * Reads records: one JSON object per line (`ndjson`), an array of objects (`json`: the document, or
 * its member `users`, with `isOfRealms` also that of each element), or lines under a header (`csv`,
 * RFC 4180). Skips blank lines. Memory: the longest record. Throws `refused` if reading fails.
 */
export async function* readRecords(
  source: AsyncIterable<Uint8Array>,
  format: ImportFormat,
  isOfRealms = false,
): AsyncGenerator<ImportRecord[]> {
  const read = { csv: csvReader, ndjson: ndjsonReader, json: () => jsonReader }[format]()
  for await (const slices of splitRecords(refusingOtherFiles(refusingReadErrors(source)), format, isOfRealms))
    yield read(slices.map(textOf).filter((record) => !('text' in record && record.text.trim() === '')))
}

/** Without this, a read error of the file would be reported as a failure of the database. */
async function* refusingReadErrors(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('refused', 'The file could not be read to its end. Nothing was imported.', { cause: error })
  }
}

/** The longest of the signatures below. */
const signatureBytes = 16

/** The first bytes, in hexadecimal, of files that would be reported line by line otherwise. */
const otherFiles: readonly (readonly [RegExp, string])[] = [
  [/^(?:fffe|feff|00|..00)/, 'is in UTF-16 or UTF-32. Save it in UTF-8.'],
  [/^(?:1f8b|28b52ffd|425a68|fd377a585a)/, 'is compressed (gzip, zstd, bzip2 or xz). Decompress it first.'],
  [/^(?:504b0304|d0cf11e0)/, 'is a spreadsheet or a ZIP file. Save it as CSV in UTF-8, or extract it first.'],
  [/^5047444d50/, 'is a dump of pg_dump. Export the users with psql instead.'],
  [/^53514c69746520666f726d61742033/, 'is an SQLite database. Export the users with sqlite3 instead.'],
]

/** Reports a file of another kind once. Otherwise each of its lines would be an error. */
async function* refusingOtherFiles(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let start: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of source) {
    if (start === undefined) {
      yield chunk
      continue
    }
    start = Buffer.concat([start, chunk])
    if (start.length < signatureBytes) continue
    yield requireText(start)
    start = undefined
  }
  if (start !== undefined && start.length > 0) yield requireText(start)
}

function requireText(start: Buffer): Buffer {
  const signature = start.toString('hex', 0, signatureBytes)
  const [, name] = otherFiles.find(([pattern]) => pattern.test(signature)) ?? []
  if (name !== undefined) throw new AppError('refused', `The file ${name} Nothing was imported.`)
  return start
}

type TextRecord = { readonly place: number; readonly text: string } | { readonly place: number; readonly error: string }

function textOf({ place, bytes }: Slice): TextRecord {
  if (!bytes) return { place, error: 'is longer than 1 MiB' }
  if (!isUtf8(bytes)) return { place, error: 'is not valid UTF-8' }
  const text = bytes.toString()
  return text.includes('\0') ? { place, error: 'contains a NUL character' } : { place, text }
}

function csvReader(): (records: readonly TextRecord[]) => ImportRecord[] {
  let columns: readonly string[] | undefined
  let hasRow = false
  return (records) => {
    const lines = records.filter((record) => 'text' in record)
    const header = columns === undefined ? lines.shift() : undefined
    if (header) columns = csvHeader(header.text)
    const rows = csvRows(lines.map(({ text }) => text))
    const [first] = lines
    if (first && !hasRow) refuseOtherSeparator(first.text, rows[0], columns ?? [], first.place)
    hasRow ||= first !== undefined
    const rowOf = new Map(lines.map(({ place }, index) => [place, rows[index]]))
    return records
      .filter((record) => record !== header)
      .map((record) => {
        if ('error' in record) return record
        return { place: record.place, ...csvRecord(rowOf.get(record.place), columns ?? []) }
      })
  }
}

function ndjsonReader(): (records: readonly TextRecord[]) => ImportRecord[] {
  let isFirst = true
  return (records) => {
    const [first] = records
    if (isFirst && first && 'text' in first) requireObjectPerLine(first.text.trim())
    isFirst &&= first === undefined
    return jsonReader(records)
  }
}

/** A document of another format would be an error per line. */
function requireObjectPerLine(firstLine: string): void {
  const isJson = firstLine.startsWith('[') || firstLine === '{'
  if (!isJson && !looksLikeCsvHeader(firstLine)) return
  throw new AppError(
    'refused',
    isJson
      ? 'The file is one JSON document, not one object per line. Use --format json. Nothing was imported.'
      : 'The file is CSV, not one JSON object per line. Use --format csv. Nothing was imported.',
  )
}

function jsonReader(records: readonly TextRecord[]): ImportRecord[] {
  return records.map((record) => ('error' in record ? record : { place: record.place, ...jsonRecord(record.text) }))
}

function jsonRecord(text: string): { fields: Fields } | { error: string } {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { error: 'is not a JSON object' }
    return shapeOfJson(text).repeatsMember ? { error: 'has a repeated member' } : { fields: value as Fields }
  } catch {
    return { error: 'is not valid JSON' }
  }
}
