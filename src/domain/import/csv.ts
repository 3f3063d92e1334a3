import { parse } from 'csv-parse/sync'
import { AppError } from '../../error.ts'
import { type Fields, nativeFields } from './importedUser.ts'

/**
 * Returns the columns named by the first line. Throws `refused` for an unknown or a repeated
 * column.
 */
export function csvHeader(text: string): readonly string[] {
  const separator = otherSeparator(text.split('\n')[0] ?? '')
  if (separator !== undefined) throw wrongSeparator('first line of the CSV file names the columns and', separator)
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

/** Separators that other programs write. */
const otherSeparators: readonly (readonly [string, string])[] = [
  [';', 'semicolons'],
  ['\t', 'tabs'],
  ['|', 'bars'],
]

/** Returns whether a line begins with a column of ours, whatever separates the columns. */
export function looksLikeCsvHeader(line: string): boolean {
  const [, column = ''] = /^"?([a-z_]+)"?[,;\t|]/i.exec(line) ?? []
  return nativeFields.includes(column.toLowerCase())
}

/** Returns the separator of a header without commas, or the one that Excel's first line names. */
function otherSeparator(line: string): string | undefined {
  const [, named] = /^sep=(.)\r?$/.exec(line) ?? []
  const [, name] =
    otherSeparators.find(([separator]) => separator === named || (!line.includes(',') && line.includes(separator))) ??
    []
  return name
}

/**
 * Throws `refused` if another character separates the fields of a row. Else every row would be an
 * error.
 */
export function refuseOtherSeparator(
  text: string,
  row: readonly string[] | undefined,
  columns: readonly string[],
  place: number,
): void {
  if (columns.length < 2 || (row && row.length > 1)) return
  const [, name] = otherSeparators.find(([separator]) => text.split(separator).length === columns.length) ?? []
  if (name !== undefined) throw wrongSeparator(`file separates its columns with commas, but line ${place}`, name)
}

function wrongSeparator(what: string, separator: string): AppError {
  return new AppError(
    'refused',
    `The ${what} separates them with ${separator}. Save the file with commas. Nothing was imported.`,
  )
}

/** `NULL` as PostgreSQL and MySQL write it into text files. */
const nullField = '\\N'

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
  const entries = columns.map((column, index) => [column, row[index] === nullField ? '' : row[index]] as const)
  return {
    fields: Object.fromEntries(
      entries.filter(([column, value]) => value !== '' || columnsKeptWhenEmpty.includes(column)),
    ),
  }
}

/**
 * Parses records (RFC 4180 §2), each given without its line break; undefined for one with misplaced
 * quotation marks. csv-parse takes much longer for many small calls than for one, so records are
 * parsed one by one only after an error.
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
