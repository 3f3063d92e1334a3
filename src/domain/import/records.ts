import { isUtf8 } from 'node:buffer'
import { AppError } from '../../error.ts'
import { shapeOfJson } from '../../jsonShape.ts'
import { csvHeader, csvRecord, csvRows } from './csv.ts'
import type { Fields } from './importedUser.ts'
import { type ImportFormat, type Slice, splitRecords } from './recordSplitter.ts'

/** A record, or why it cannot be read. `place` is its line, in a JSON document its number. */
export type ImportRecord =
  | { readonly place: number; readonly fields: Fields }
  | { readonly place: number; readonly error: string }

/**
 * Reads the records of a file: one JSON object per line (`ndjson`), an array of objects (`json`: the document, or
 * its member `users`), or lines under a header (`csv`, RFC 4180). Blank lines are skipped. Memory is bounded by the
 * longest record, not by the file. Throws `refused` if the file cannot be read to its end.
 */
export async function* readRecords(
  source: AsyncIterable<Uint8Array>,
  format: ImportFormat,
): AsyncGenerator<ImportRecord[]> {
  const read = format === 'csv' ? csvReader() : jsonReader
  for await (const slices of splitRecords(refusingReadErrors(source), format))
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

type TextRecord = { readonly place: number; readonly text: string } | { readonly place: number; readonly error: string }

function textOf({ place, bytes }: Slice): TextRecord {
  if (!bytes) return { place, error: 'is longer than 1 MiB' }
  if (!isUtf8(bytes)) return { place, error: 'is not valid UTF-8' }
  const text = bytes.toString()
  return text.includes('\0') ? { place, error: 'contains a NUL character' } : { place, text }
}

function csvReader(): (records: readonly TextRecord[]) => ImportRecord[] {
  let columns: readonly string[] | undefined
  return (records) => {
    const lines = records.filter((record) => 'text' in record)
    const header = columns === undefined ? lines.shift() : undefined
    if (header) columns = csvHeader(header.text)
    const rows = csvRows(lines.map(({ text }) => text))
    const rowOf = new Map(lines.map(({ place }, index) => [place, rows[index]]))
    return records
      .filter((record) => record !== header)
      .map((record) => {
        if ('error' in record) return record
        return { place: record.place, ...csvRecord(rowOf.get(record.place), columns ?? []) }
      })
  }
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
