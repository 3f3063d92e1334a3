import { isInCalendar } from '../../calendar.ts'
import type { StagedUser } from '../../db/statements/importStaging.ts'
import { isUuid } from '../../uuid.ts'
import { withoutDjangoPrefix } from '../hashes/formats.ts'
import { unsupportedHashName } from '../hashes/unsupported.ts'
import { readHash } from '../passwords/readHash.ts'
import { validationErrorsOf } from '../users/users.ts'

/** A record as it was read: JSON's members, or CSV's fields by their columns. Whose names and values nobody has looked at. */
export type Fields = Readonly<Record<string, unknown>>

/** The names of what a record tells of a user. `password_hash` is another word for `hashed_password`. */
export const nativeFields: readonly string[] = [
  'id',
  'username',
  'full_name',
  'hashed_password',
  'password_hash',
  'is_active',
  'roles',
  'must_change_password',
  'created_at',
]

/** What is stored of a user who has no password: no password belongs to it. */
export const noPassword = '!'

export type ReadUser = { readonly user: Omit<StagedUser, 'place'> } | { readonly faults: readonly string[] }

/** A user as a record tells it, or everything that is wrong with it, without its values. */
export function readUser(fields: Fields): ReadUser {
  const faults: string[] = []
  const or = <T>(value: T | undefined, fault: string, fallback: T): T => {
    if (value === undefined) faults.push(fault)
    return value ?? fallback
  }
  faults.push(...strangeFields(fields))
  const given = (name: string) =>
    Object.hasOwn(fields, name) && fields[name] !== null && fields[name] !== '' ? fields[name] : undefined

  const username = or(textOf(given('username')), 'has no username', '')
  const user = {
    id: or(idOf(given('id')), 'id is no UUID', null),
    username,
    full_name: or(textOf(given('full_name') ?? (username || '-')), 'full_name is no text', ''),
    hashed_password: or(hashOf(fields, faults), 'has no hashed_password', ''),
    is_active: or(booleanOf(activityIn(fields)), 'is_active is neither true nor false', true),
    roles: or(rolesOf(given('roles') ?? []), 'roles is no list of words', []),
    must_change_password: or(
      booleanOf(given('must_change_password') ?? false),
      'must_change_password is neither true nor false',
      false,
    ),
    created_at: or(timeOf(given('created_at')), 'created_at is no date and time of ISO 8601', null),
  }
  if (username !== '') for (const { field, message } of validationErrorsOf(user)) faults.push(`${field} ${message}`)
  if (!user.full_name.isWellFormed()) faults.push('full_name is not valid Unicode')
  return faults.length > 0 ? { faults } : { user }
}

/** Enough to see what is meant: a record of another shape has as many as it has. */
const strangeFieldsNamed = 3

function strangeFields(fields: Fields): readonly string[] {
  const strange = Object.keys(fields)
    .filter((name) => !nativeFields.includes(name))
    // What is said of a password must not be among the rest.
    .sort((one, two) => Number(two === 'password') - Number(one === 'password'))
  const rest = strange.length - strangeFieldsNamed
  const named = strange.slice(0, strangeFieldsNamed).map(strangeField)
  return rest > 0 ? [...named, `has ${rest.toLocaleString('en')} more such fields`] : named
}

function strangeField(name: string): string {
  if (name === 'password')
    return 'has a password in plain text, which is not taken: give its hash as hashed_password, or make the user with "audittrail user add"'
  const shown = JSON.stringify(name.slice(0, 50))
  return `has a field ${shown}, which means nothing here`
}

/** What will be stored; undefined where the record has no such field. A null or empty one is a user without a password. */
function hashOf(fields: Fields, faults: string[]): string | undefined {
  const names = ['hashed_password', 'password_hash'].filter((name) => Object.hasOwn(fields, name))
  if (names.length === 0) return undefined
  const value = fields[names[0] ?? '']
  if (names.length > 1) faults.push('has both hashed_password and password_hash')
  // Django's word for "none" begins with an exclamation mark too.
  if (value === null || value === '' || (typeof value === 'string' && value.startsWith('!'))) return noPassword
  if (typeof value !== 'string') faults.push('hashed_password is no text')
  else if (value.length > 255) faults.push('hashed_password is longer than 255 characters')
  else if (readHash(value)) return withoutDjangoPrefix(value)
  else faults.push(`hashed_password is ${unsupportedHashName(value)}`)
  return ''
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function idOf(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return null
  return typeof value === 'string' && isUuid(value) ? value.toLowerCase() : undefined
}

const truths: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...[true, 1, '1', 'true', 'TRUE', 'True', 't'].map((word) => [word, true] as const),
  ...[false, 0, '0', 'false', 'FALSE', 'False', 'f'].map((word) => [word, false] as const),
])

/** As JSON, CSV by spreadsheets, MySQL (1, 0) and PostgreSQL (t, f) write it. */
function booleanOf(value: unknown): boolean | undefined {
  return truths.get(value)
}

/** Where nobody speaks of it, all are active. A null or empty one says nothing, and then nobody should come in by it. */
function activityIn(fields: Fields): unknown {
  return Object.hasOwn(fields, 'is_active') ? fields.is_active : true
}

/** A list, or in CSV a text with spaces or bars between; each role once. */
function rolesOf(value: unknown): readonly string[] | undefined {
  const words = typeof value === 'string' ? value.split(/[ |]+/).filter((word) => word !== '') : value
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) return undefined
  return [...new Set<string>(words)]
}

/** PostgreSQL knows zones up to sixteen hours from UTC; there are none beyond fourteen. */
const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-](?:0\d|1[0-5])(?::?\d\d)?)?)?$/

/** With a space for the T, as databases write it, and without a zone, which is then UTC. In the spelling that PostgreSQL takes. */
function timeOf(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return null
  const [, day, time = '00:00', zone = 'Z'] = (typeof value === 'string' && iso.exec(value)) || []
  if (day === undefined) return undefined
  const offset = zone.length === 3 ? `${zone}:00` : zone.replace(/^(.\d\d)(\d\d)$/, '$1:$2')
  const spelled = `${day}T${time}${offset}`
  return isInCalendar(spelled) ? spelled : undefined
}
