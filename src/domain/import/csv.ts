import { parse } from 'csv-parse/sync'
import { AppError } from '../../error.ts'
import { type Fields, nativeFields } from './importedUser.ts'

/** Returns the columns named by the first line. Throws `refused` for an unknown or a repeated column. */
export function csvHeader(text: string): readonly string[] {
  const columns = csvRows([text])[0]?.map((column) => column.trim())
  const unknown = columns?.find((column) => !nativeFields.includes(column))
  if (!columns || unknown !== undefined) {
    const found = unknown === undefined ? '' : ` Unknown column ${JSON.stringify(unknown.slice(0, 50))}.`
    throw new AppError(
      'refused',
      `The first line of a CSV file must name its columns, separated by commas: ${nativeFields.join(', ')}.${found}`,
    )
  }
  if (new Set(columns).size < columns.length)
    throw new AppError('refused', 'The first line of the CSV file names a column twice.')
  return columns
}

/** Columns in which empty differs from absent: no password, and neither active nor inactive. */
const columnsKeptWhenEmpty = ['hashed_password', 'password_hash', 'is_active']

/** Maps a row to its columns. An empty field counts as absent, except in the columns above. */
export function csvRecord(
  row: readonly string[] | undefined,
  columns: readonly string[],
): { fields: Fields } | { error: string } {
  if (!row) return { error: 'has a misplaced or unclosed quotation mark' }
  if (row.length !== columns.length)
    return { error: `has ${row.length} fields, but the header names ${columns.length} columns` }
  const entries = columns.map((column, index) => [column, row[index]] as const)
  return {
    fields: Object.fromEntries(
      entries.filter(([column, value]) => value !== '' || columnsKeptWhenEmpty.includes(column)),
    ),
  }
}

/**
 * Parses records (RFC 4180 §2), each given without its line break; undefined for one with misplaced quotation marks.
 * csv-parse takes much longer for many small calls than for one, so records are parsed one by one only after an error.
 */
export function csvRows(records: readonly string[]): readonly (readonly string[] | undefined)[] {
  const rows = parsed(records)
  return rows?.length === records.length ? rows : records.map((record) => parsed([record])?.[0])
}

function parsed(records: readonly string[]): string[][] | undefined {
  try {
    return parse(records.map((record) => `${record}\n`).join(''), {
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
    })
  } catch {
    return undefined
  }
}
