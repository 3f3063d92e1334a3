import type { Account } from '../../db/audit/accounts.ts'
import type { AuditEvent } from '../audit/events.ts'
import type { AuditRecord } from '../audit/record.ts'
import { isFlag, withoutState } from './chains.ts'
import { commitmentOfSalt, isState, stateOf } from './state.ts'

/** Characters of a UUID. */
const idLength = 36
/** Accounts in one record of the baseline. */
export const accountsPerRecord = 50
/**
 * Characters of the entries in one record, so that it fits into a leaf with long lists of numbers.
 */
const maxLength = 4600

/** Returns the records of accounts that have no event of their own. */
export function baselineRecords(
  salt: Buffer | undefined,
  of: 'database' | 'import',
  accounts: readonly Account[],
  isComplete = false,
): readonly AuditRecord[] {
  if (!salt) return []
  const entries = accounts.map((account) => entryOf(account.id, [stateOf(salt, account)]))
  return recordsOfEntries(entries, { of, salt: commitmentOfSalt(salt) }, isComplete)
}

/**
 * Returns the records of entries. The last says whether the log covers all accounts from then on.
 */
export function recordsOfEntries(
  entries: readonly string[],
  facts: Pick<Extract<AuditEvent, { event: 'audit.baseline' }>, 'of' | 'salt' | 'below'>,
  isComplete: boolean,
): readonly AuditRecord[] {
  const parts = partsOf(entries)
  if (isComplete && parts.length === 0) parts.push([])
  return parts.map((accounts, index) => {
    const complete = isComplete && index === parts.length - 1
    return { event: { event: 'audit.baseline', ...facts, accounts, ...(complete ? { complete } : {}) } }
  })
}

/** Returns the entry of an account in a record of the baseline. */
export function entryOf(id: string, states: readonly string[]): string {
  return [id, ...states].join(' ')
}

/** Returns the account of an entry. */
export function idOf(entry: unknown): string {
  return String(entry).slice(0, idLength)
}

/** Returns the account and the states of an entry. Undefined if it has another form. */
export function entryIn(value: unknown): { readonly id: string; readonly states: readonly string[] } | undefined {
  const [id = '', ...states] = String(value).split(' ')
  const isKnown = (token: string) => isFlag(token) || isState(token.replace(/^-/, '')) || token === `-${withoutState}`
  return states.every(isKnown) ? { id, states } : undefined
}

/** Splits entries so that each part fits into a record and has at most 50. */
function partsOf(entries: readonly string[]): (readonly string[])[] {
  const parts: string[][] = []
  let length = maxLength
  for (const entry of entries) {
    length += entry.length + 3
    if (length > maxLength || parts.at(-1)?.length === accountsPerRecord) {
      parts.push([])
      length = entry.length
    }
    parts.at(-1)?.push(entry)
  }
  return parts
}
