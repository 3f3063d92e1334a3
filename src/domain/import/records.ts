import { isUtf8 } from 'node:buffer'
import { AppError } from '../../error.ts'
import { shapeOfJson } from '../../jsonShape.ts'
import { csvHeader, csvRecord } from './csv.ts'
import type { Fields } from './importedUser.ts'
import { type ImportFormat, splitRecords } from './recordSplitter.ts'

/** A record of the file, as it is written there; `place` is its line, or in a JSON document its number. */
export type ImportRecord =
  | { readonly place: number; readonly fields: Fields }
  | { readonly place: number; readonly fault: string }

/**
 * Reads the records of a file: objects of JSON, one a line (`ndjson`) or in an array (`json`: the document is one, or an object
 * whose member `users` is one), or lines under a header (`csv`, RFC 4180). A bad record is one with a fault. Memory is bounded
 * by the longest record, not by the file. Throws `refused` where the file cannot be read on.
 */
export async function* readRecords(
  source: AsyncIterable<Uint8Array>,
  format: ImportFormat,
): AsyncGenerator<ImportRecord[]> {
  let columns: readonly string[] | undefined
  for await (const slices of splitRecords(readable(source), format)) {
    const records: ImportRecord[] = []
    for (const { place, bytes } of slices) {
      const text = textOf(bytes)
      if (typeof text !== 'string') records.push({ place, fault: text.fault })
      else if (text.trim() === '') continue
      else if (format !== 'csv') records.push({ place, ...jsonRecord(text) })
      else if (columns === undefined) columns = csvHeader(text)
      else records.push({ place, ...csvRecord(text, columns) })
    }
    yield records
  }
}

/** What stops the reading has its own words: it is no fault of the database that the rows were meant for. */
async function* readable(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('refused', 'The file could not be read to its end: nothing went in.', { cause: error })
  }
}

function textOf(bytes: Buffer | undefined): string | { fault: string } {
  if (!bytes) return { fault: 'is longer than a mebibyte' }
  if (!isUtf8(bytes)) return { fault: 'is not text in UTF-8' }
  const text = bytes.toString()
  return text.includes('\0') ? { fault: 'has a NUL character in it' } : text
}

function jsonRecord(text: string): { fields: Fields } | { fault: string } {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { fault: 'is no JSON object' }
    return shapeOfJson(text).repeatsMember ? { fault: 'has a member more than once' } : { fields: value as Fields }
  } catch {
    return { fault: 'is not JSON' }
  }
}
