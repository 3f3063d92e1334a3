import type { PresentedEvent, PresentedParty } from '../../domain/audit/presentEvent.ts'

/**
 * A spreadsheet runs a cell that starts with one of these as a formula (OWASP, CSV Injection). The
 * apostrophe makes it text.
 */
const startsFormula = /^[=+\-@\t\r\n＝＋－＠]/

const partyColumns = ['kind', 'id', 'username', 'full_name', 'address', 'user_agent', 'erased'] as const

/** The names of the columns. */
export const csvHeader = csvLine([
  'index',
  'time',
  'type',
  'outcome',
  ...partyColumns.map((column) => `by_${column}`),
  ...partyColumns.map((column) => `about_${column}`),
  'session',
  'request',
  'facts',
])

export function csvLineOf({ index, time, type, outcome, by, about, session, request, facts }: PresentedEvent): string {
  const texts = [time, type, outcome, ...cellsOf(by), ...cellsOf(about), session, request, JSON.stringify(facts)]
  return csvLine([String(index), ...texts])
}

function cellsOf(party: PresentedParty | null): (string | null)[] {
  return partyColumns.map((column) => party?.[column]?.toString() ?? null)
}

/** Returns one record (RFC 4180). Null is an empty cell. */
export function csvLine(cells: readonly (string | null)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`
}

function csvCell(text: string | null): string {
  if (text === null) return ''
  const safe = startsFormula.test(text) ? `'${text}` : text
  return /^$|[",\p{Cc}]|^\s|\s$/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
