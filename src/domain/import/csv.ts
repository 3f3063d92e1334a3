import { AppError } from '../../error.ts'
import { type Fields, nativeFields } from './importedUser.ts'

/** The columns that a CSV file's first line names. Throws `refused` for a name that means nothing, or one that is there twice. */
export function csvHeader(text: string): readonly string[] {
  const columns = csvFields(text)?.map((column) => column.trim())
  const unknown = columns?.find((column) => !nativeFields.includes(column))
  if (!columns || unknown !== undefined) {
    const shown = unknown === undefined ? '' : ` ${JSON.stringify(unknown.slice(0, 50))} is none of them.`
    throw new AppError(
      'refused',
      `The first line of a CSV file names its columns, with commas between: ${nativeFields.join(', ')}.${shown}`,
    )
  }
  if (new Set(columns).size < columns.length)
    throw new AppError('refused', 'The first line of the CSV file names a column twice.')
  return columns
}

/** What is empty here must be told from a column that is not there: a user without a password, and one neither active nor not. */
const tellingColumns = ['hashed_password', 'password_hash', 'is_active']

/** A line under its header. An empty field counts as not there, but in those columns. */
export function csvRecord(text: string, columns: readonly string[]): { fields: Fields } | { fault: string } {
  const fields = csvFields(text)
  if (!fields) return { fault: 'has a quotation mark where CSV has none' }
  if (fields.length !== columns.length)
    return { fault: `has ${fields.length} fields, and the header names ${columns.length}` }
  const named = columns.map((column, at) => [column, fields[at]] as const)
  return {
    fields: Object.fromEntries(named.filter(([column, value]) => value !== '' || tellingColumns.includes(column))),
  }
}

/** One record of RFC 4180 §2, its line break already gone; undefined where its quotation marks are not in order. */
function csvFields(text: string): string[] | undefined {
  const record = text.endsWith('\r') ? text.slice(0, -1) : text
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (record[at] === '"') {
      const [quoted, behind] = quotedField(record, at + 1)
      if (quoted === undefined) return undefined
      fields.push(quoted)
      at = behind
    } else {
      const end = record.indexOf(',', at)
      const plain = record.slice(at, end < 0 ? undefined : end)
      if (plain.includes('"')) return undefined
      fields.push(plain)
      at = end < 0 ? record.length : end
    }
    if (at === record.length) return fields
    if (record[at] !== ',') return undefined
    at++
  }
}

/** From behind the opening mark to behind the closing one; two marks within are one that is meant. */
function quotedField(record: string, from: number): [string | undefined, number] {
  let field = ''
  for (let at = from; ; ) {
    const end = record.indexOf('"', at)
    if (end < 0) return [undefined, at]
    field += record.slice(at, end)
    if (record[end + 1] !== '"') return [field, end + 1]
    field += '"'
    at = end + 2
  }
}
