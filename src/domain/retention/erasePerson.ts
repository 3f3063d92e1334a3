import type { PendingEvent } from '../../db/audit/batch.ts'
import type { AuditStatements } from '../../db/audit/reading.ts'
import { AppError } from '../../error.ts'
import { audited } from '../audit/audited.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { ParsedLeaf } from '../audit/leaf.ts'
import { readPersonal } from '../audit/presentEvent.ts'
import type { AuditRecord } from '../audit/record.ts'
import { macTextOf, parseGenuine } from '../audit/sequencing.ts'
import type { Deps } from '../deps.ts'
import { countOf, merged, rangesText } from '../eventNumbers/ranges.ts'
import { findPerson, type Person } from './person.ts'

export interface Erasure {
  /** Null: only strangers have entered the name. */
  readonly id: string | null
  /** Records and pending events that lost a text. */
  readonly erased: number
  /** Whether the user exists, so that new records will name them. */
  readonly isUser: boolean
}

type ErasureDeps = Pick<Deps, 'database' | 'audit' | 'log' | 'source'>

/** Items that one record lists, so that it fits into a leaf. */
const maxListed = 100
const pageSize = 2000

/**
 * Erases the names, addresses and browsers in all records by and about a person, and in sign-ins
 * with their username, and records that. Throws `not_found` if the log does not know the person,
 * and `conflict` if several have had the username.
 */
export async function erasePerson(deps: ErasureDeps, by: string, nameOrId: string): Promise<Erasure> {
  const person = await findPerson(deps, nameOrId)
  const { party, names, isUser } = person
  const accounts = names.flatMap((name) => deps.audit.keys.pseudonymsOf(name.toLowerCase()))
  const erased = await audited(
    deps,
    async ({ audit }) => {
      const below = await audit.lockLog()
      const records = party?.id === undefined ? 0 : await audit.eraseParty(party.id)
      const indexes = accounts.length === 0 ? [] : await audit.eraseEntered(accounts)
      return {
        below,
        records,
        indexes,
        pending: await erasePending(audit, deps.audit.keys, { id: party?.id, accounts }),
      }
    },
    (result) => recordsOf(by, person, result),
    'unlimited',
  )
  const count = erased.records + erased.indexes.length + erased.pending.ofParty.length + erased.pending.entered.length
  if (count === 0 && !isUser) throw unknown(nameOrId, party?.id)
  return { id: party?.id ?? null, erased: count, isUser }
}

function unknown(nameOrId: string, id: string | undefined): AppError {
  const detail = 'The audit log has no personal data of'
  if (id !== undefined) return new AppError('not_found', `${detail} ${id}.`)
  return new AppError(
    'not_found',
    `${detail} ${JSON.stringify(nameOrId)}. For a user whose records have no name, pass the id.`,
  )
}

/** Pending events that lost a text, each as its process and number. */
interface ErasedPending {
  readonly ofParty: readonly string[]
  /** Those of sign-ins with the username that concern no party. */
  readonly entered: readonly string[]
}

interface Erasable {
  readonly id: string | undefined
  /** MACs of the usernames. */
  readonly accounts: readonly string[]
}

/** Erases nothing in rows that this service did not write. */
async function erasePending(audit: AuditStatements, keys: AuditKeys, erasable: Erasable): Promise<ErasedPending> {
  const ofParty: string[] = []
  const entered: string[] = []
  for (let after: string | undefined; ; ) {
    const page = await audit.listPending(after, pageSize)
    if (page.length === 0) return { ofParty, entered }
    after = page.at(-1)?.id
    const found = page.flatMap((row) => {
      const leaf = parseGenuine(keys, row)
      if (!leaf) return []
      const { by, about, isEntered } = textsToErase(leaf, row, erasable)
      if (!by && !about) return []
      const list = isEntered ? entered : ofParty
      list.push(`${row.process} ${row.n}`)
      const rest = { ...row, byPrivate: by ? null : row.byPrivate, aboutPrivate: about ? null : row.aboutPrivate }
      return [{ id: row.id, by, about, mac: keys.macOf(macTextOf(leaf, rest)) }]
    })
    if (found.length > 0) await audit.erasePending(found)
  }
}

/** The same rule as for records of the log. */
function textsToErase(
  { by, about }: ParsedLeaf,
  { byPrivate, aboutPrivate }: PendingEvent,
  { id, accounts }: Erasable,
): { readonly by: boolean; readonly about: boolean; readonly isEntered: boolean } {
  const isBy = id !== undefined && by.id === id
  const isAbout = id !== undefined && about?.id === id
  const isUnknown = by.id === undefined
  const { account } = readPersonal(byPrivate)
  const isEntered = !isAbout && isUnknown && typeof account === 'string' && accounts.includes(account)
  return {
    by: byPrivate !== null && (isBy || (isAbout && isUnknown) || isEntered),
    about: aboutPrivate !== null && isAbout,
    isEntered,
  }
}

interface Erased {
  readonly below: number
  readonly records: number
  readonly indexes: readonly number[]
  readonly pending: ErasedPending
}

function recordsOf(by: string, { party }: Person, { below, records, indexes, pending }: Erased): AuditRecord[] {
  const ofParty = partsOf(pending.ofParty)
  const entered = partsOf(pending.entered)
  const ranges = partsOf(merged(indexes.map((index) => [index, index] as const)))
  return [
    ...(records > 0 || ofParty.length > 0 ? (ofParty.length > 0 ? ofParty : [[]]) : []).map((part, number) => ({
      event: {
        event: 'audit.erased' as const,
        by,
        erased: part.length + (number === 0 ? records : 0),
        below,
        ...(part.length > 0 ? { pending: part } : {}),
      },
      about: party,
    })),
    ...ranges.map((part) => ({
      event: { event: 'audit.erased' as const, by, erased: countOf(part), indexes: rangesText(part) },
    })),
    ...entered.map((part) => ({ event: { event: 'audit.erased' as const, by, erased: part.length, pending: part } })),
  ]
}

function partsOf<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / maxListed) }, (_, part) =>
    items.slice(part * maxListed, (part + 1) * maxListed),
  )
}
