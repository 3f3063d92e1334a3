import { isInCalendar } from '../../calendar.ts'
import type { ExportedUser } from '../../db/statements/userTransfer.ts'
import { isUuid } from '../../uuid.ts'
import { unsupportedHashName } from '../hashes/unsupported.ts'
import { readHash } from '../passwords/readHash.ts'
import type { Fields, ReadUser } from './importedUser.ts'

/** PostgreSQL's B-tree holds 2,704 bytes for each row, and usernames have an index. */
const maximumUsernameBytes = 2600

const checks: Readonly<Record<keyof ExportedUser, (value: unknown) => boolean>> = {
  id: (value) => typeof value === 'string' && isUuid(value),
  username: (value) => isText(value) && Buffer.byteLength(value) <= maximumUsernameBytes,
  full_name: isText,
  hashed_password: isText,
  is_active: isBoolean,
  roles: (value) => Array.isArray(value) && value.every(isText),
  must_change_password: isBoolean,
  created_at: isExportedTime,
}

/**
 * Returns whether a record is a line of `export`: it has exactly these fields, in these types and
 * formats. An adopted database may have any username, full name, hash and role.
 */
export function isExportedUser(fields: Fields): boolean {
  return (
    Object.keys(fields).length === Object.keys(checks).length &&
    Object.entries(checks).every(([name, check]) => Object.hasOwn(fields, name) && check(fields[name]))
  )
}

/** Returns the user of a line of `export`, as it was in the database. */
export function readExportedUser(fields: Fields): ReadUser {
  const user = fields as unknown as ExportedUser
  return { user, warnings: hashWarnings(user.hashed_password) }
}

/** Returns a warning for a hash that no password can match. None for a user without a password. */
export function hashWarnings(hash: string): string[] {
  if (hash === '' || hash.startsWith('!') || readHash(hash)) return []
  return [`hashed_password cannot be verified: ${unsupportedHashName(hash)}`]
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}

/** Whether PostgreSQL can store it. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
}

const exportedTime = /^(\d{4,6})(-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)( BC)?$/
/** PostgreSQL's first and last whole year; 1 BC is year 0. */
const [firstYear, lastYear] = [-4712, 294_275]

function isExportedTime(value: unknown): boolean {
  if (value === 'infinity' || value === '-infinity') return true
  const [, digits = '0', rest, era] = (typeof value === 'string' && exportedTime.exec(value)) || []
  const year = era === undefined ? Number(digits) : 1 - Number(digits)
  if (Number(digits) === 0 || year < firstYear || year > lastYear) return false
  // The calendar repeats every 400 years.
  return isInCalendar(`${2000 + (((year % 400) + 400) % 400)}${rest}`)
}
