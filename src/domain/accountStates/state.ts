import type { Account } from '../../db/audit/accounts.ts'
import type { StateChange } from '../audit/record.ts'

const version = '1:'
/** Characters of each half of a state: 18 bytes in base64. */
const half = 24

/**
 * Returns the state of an account, which changes with its roles, password, username and status and
 * reveals none of them: `1:` and two halves, the first of which depends on the roles alone.
 */
export function stateOf(salt: Buffer, account: Account): string {
  const { id, username, roles, is_active, must_change_password, hashed_password } = account
  const rest = ['account', id, username, is_active, must_change_password, hashed_password]
  return `${version}${rolesDigest(salt, id, roles)}${digest(salt, rest)}`
}

/**
 * Returns the states for the record of a change. If someone removed the salt, they are marked as
 * missing, unlike in a record of an older version.
 */
export function stateChange(
  salt: Buffer | undefined,
  { was, is }: { readonly was?: Account | undefined; readonly is?: Account | undefined },
): StateChange {
  if (!salt) return { missing: true }
  return { was: was && stateOf(salt, was), is: is && stateOf(salt, is) }
}

/** Returns whether the account had no roles in this state. */
export function hasNoRoles(salt: Buffer, id: string, state: string): boolean {
  return halvesOf(state)[0] === rolesDigest(salt, id, [])
}

/** Returns what differs between two states of an account. */
export function differencesOf(one: string, other: string): { readonly roles: boolean; readonly rest: boolean } {
  const [roles, rest] = halvesOf(one)
  const [otherRoles, otherRest] = halvesOf(other)
  return { roles: roles !== otherRoles, rest: rest !== otherRest }
}

export function isState(value: unknown): value is string {
  return typeof value === 'string' && value.length === version.length + 2 * half && value.startsWith(version)
}

/** Returns a hash of the salt, by which the log shows that it was changed. */
export function commitmentOfSalt(salt: Buffer): string {
  return Bun.SHA256.hash(`salt of account states\n${salt.toString('base64')}`, 'base64')
}

function rolesDigest(salt: Buffer, id: string, roles: readonly string[]): string {
  return digest(salt, ['roles', id, [...new Set(roles)].sort()])
}

function digest(salt: Buffer, values: readonly unknown[]): string {
  return Bun.SHA256.hash(`${salt.toString('base64')}\n${JSON.stringify(values)}`, 'base64').slice(0, half)
}

function halvesOf(state: string): readonly [string, string] {
  const middle = version.length + half
  return [state.slice(version.length, middle), state.slice(middle)]
}
