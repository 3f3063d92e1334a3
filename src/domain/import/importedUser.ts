import { isInCalendar } from '../../calendar.ts'
import type { StagedUser } from '../../db/statements/importStaging.ts'
import { isUuid } from '../../uuid.ts'
import { withoutPrefix } from '../hashes/formats.ts'
import { unsupportedHashName } from '../hashes/unsupported.ts'
import { readHash } from '../passwords/readHash.ts'
import { validationErrorsOf } from '../users/validation.ts'

/** An unchecked record: the members of a JSON object, or CSV fields by column. */
export type Fields = Readonly<Record<string, unknown>>

/** The fields of a user. `password_hash` is an alias of `hashed_password`. */
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

/** Stored instead of a hash for a user without a password; no password matches it. */
export const noPassword = '!'

export type ReadUser =
  | { readonly user: Omit<StagedUser, 'place'>; readonly warnings: readonly string[] }
  | { readonly errors: readonly string[] }

/** Returns the user of a record, or everything that is wrong with it, without its values. */
export function readUser(fields: Fields): ReadUser {
  const errors: string[] = []
  const or = <T>(value: T | undefined, error: string, fallback: T): T => {
    if (value === undefined) errors.push(error)
    return value ?? fallback
  }
  errors.push(...unknownFieldErrors(fields))
  const valueIn = (name: string) =>
    Object.hasOwn(fields, name) && fields[name] !== null && fields[name] !== '' ? fields[name] : undefined

  const username = or(textOf(valueIn('username')), 'has no username', '')
  const user = {
    id: or(idOf(valueIn('id')), 'id must be a UUID', null),
    username,
    full_name: or(textOf(valueIn('full_name') ?? (username || '-')), 'full_name must be a string', ''),
    hashed_password: or(hashOf(fields, errors), 'has no hashed_password', ''),
    is_active: or(booleanOf(activeValueOf(fields)), 'is_active must be true or false', true),
    roles: or(rolesOf(valueIn('roles') ?? []), 'roles must be a list of words', []),
    must_change_password: or(
      booleanOf(valueIn('must_change_password') ?? false),
      'must_change_password must be true or false',
      false,
    ),
    created_at: or(timeOf(valueIn('created_at')), 'created_at must be a date and time in ISO 8601', null),
  }
  if (username !== '') for (const { field, message } of validationErrorsOf(user)) errors.push(`${field} ${message}`)
  if (!user.full_name.isWellFormed()) errors.push('full_name is not valid Unicode')
  return errors.length > 0 ? { errors } : { user, warnings: [] }
}

/** A record of another kind has many unknown fields; naming a few is enough. */
const maximumUnknownFieldsNamed = 3

function unknownFieldErrors(fields: Fields): readonly string[] {
  const unknown = Object.keys(fields)
    .filter((name) => !nativeFields.includes(name))
    // The advice about passwords must not be among those left out.
    .sort((first, second) => Number(second === 'password') - Number(first === 'password'))
  const rest = unknown.length - maximumUnknownFieldsNamed
  const named = unknown.slice(0, maximumUnknownFieldsNamed).map(unknownFieldError)
  return rest > 0 ? [...named, `has ${rest.toLocaleString('en')} more unknown fields`] : named
}

function unknownFieldError(name: string): string {
  if (name === 'password')
    return 'has a plain-text password, which is not accepted: provide its hash as hashed_password, or create the user with "audittrail user add"'
  return `has an unknown field ${JSON.stringify(name.slice(0, 50))}`
}

/**
 * Returns what to store; undefined if the record has no such field. Null or empty means a user
 * without a password.
 */
function hashOf(fields: Fields, errors: string[]): string | undefined {
  const names = ['hashed_password', 'password_hash'].filter((name) => Object.hasOwn(fields, name))
  if (names.length === 0) return undefined
  const value = fields[names[0] ?? '']
  if (names.length > 1) errors.push('has both hashed_password and password_hash')
  // Django marks unusable passwords with a leading exclamation mark too.
  if (value === null || value === '' || (typeof value === 'string' && value.startsWith('!'))) return noPassword
  if (typeof value !== 'string') errors.push('hashed_password must be a string')
  else if (readHash(value)) return withoutPrefix(value)
  else errors.push(`hashed_password is not supported: ${unsupportedHashName(value)}`)
  return ''
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function idOf(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return null
  return typeof value === 'string' && isUuid(value) ? value.toLowerCase() : undefined
}

const booleans: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...[true, 1, '1', 'true', 'TRUE', 'True', 't'].map((word) => [word, true] as const),
  ...[false, 0, '0', 'false', 'FALSE', 'False', 'f'].map((word) => [word, false] as const),
])

/** Accepts what JSON, spreadsheets, MySQL (1, 0) and PostgreSQL (t, f) write. */
function booleanOf(value: unknown): boolean | undefined {
  return booleans.get(value)
}

/** Absent means active. Null or empty is ambiguous, and ambiguity must not let a user in. */
function activeValueOf(fields: Fields): unknown {
  return Object.hasOwn(fields, 'is_active') ? fields.is_active : true
}

/** Takes a list, or for CSV a string separated by spaces or bars. Returns each role once. */
function rolesOf(value: unknown): readonly string[] | undefined {
  const words = typeof value === 'string' ? value.split(/[ |]+/).filter((word) => word !== '') : value
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) return undefined
  return [...new Set<string>(words)]
}

/** PostgreSQL accepts UTC offsets below 16 hours. */
const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[+-](?:0\d|1[0-5])(?::?\d\d)?)?)?$/

/**
 * Accepts a space instead of the T, as databases write it; without an offset it is UTC. Returns the
 * form PostgreSQL takes.
 */
function timeOf(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return null
  const [, day, time = '00:00', zone = 'Z'] = (typeof value === 'string' && iso.exec(value)) || []
  if (day === undefined) return undefined
  const offset = zone.length === 3 ? `${zone}:00` : zone.replace(/^(.\d\d)(\d\d)$/, '$1:$2')
  const formatted = `${day}T${time}${offset}`
  return isInCalendar(formatted) ? formatted : undefined
}
