// The rules for the fields of a user. Each text completes "username …" and "ADMIN_USERNAME …".

export const usernameRule = 'must be 1 to 50 of the characters A-Z a-z 0-9 . _ @ + -'
export const usernamePattern = '^[A-Za-z0-9._@+-]{1,50}$'
const username = new RegExp(usernamePattern)

export function isUsername(text: string): boolean {
  return username.test(text)
}

/**
 * Removes ASCII blanks around an entered username: phones and password managers add them. Not by a
 * regular expression, which takes quadratic time for a long run of blanks inside.
 */
export function trimBlanks(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** Space, tab, line feed, vertical tab, form feed and carriage return. */
function isBlank(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d)
}

export const maxFullNameLength = 100
export const fullNameRule = 'must be 1 to 100 characters on one line'

/** Rejects bidirectional overrides. Joiners are allowed, since some scripts need them. */
export function isFullName(text: string): boolean {
  return (
    [...text].length <= maxFullNameLength &&
    text.trim() !== '' &&
    !/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(text)
  )
}

export const maxRoles = 32
export const rolesRule = `must have at most ${maxRoles} entries, each 1 to 32 of the characters a-z 0-9 _ -`

export const rolePattern = '^[a-z0-9_-]{1,32}$'
const role = new RegExp(rolePattern)

export function isRole(text: string): boolean {
  return role.test(text)
}

export function areRoles(roles: readonly string[]): boolean {
  return roles.length <= maxRoles && roles.every(isRole)
}
