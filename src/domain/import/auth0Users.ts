import { bytesOfBase64, bytesOfHex } from '../hashes/encoding.ts'
import { formatScrypt } from '../hashes/scryptHashes.ts'
import { list, member, object, present, text } from './fields.ts'
import type { Fields } from './importedUser.ts'

/**
 * Reads a user of Auth0's password hash export (`passwordHash`), or of its bulk import format
 * (`password_hash`, `custom_password_hash`).
 */
export function auth0User(user: Fields): Fields {
  return present({
    username:
      text(user, 'username') ?? text(user, 'email') ?? identifier(user, 'username') ?? identifier(user, 'email'),
    full_name: text(user, 'name') ?? text(user, 'nickname'),
    hashed_password: text(user, 'passwordHash') ?? text(user, 'password_hash') ?? customHash(user) ?? null,
    is_active: member(user, 'blocked') !== true,
    created_at: text(user, 'created_at'),
  })
}

function identifier(user: Fields, type: string): string | undefined {
  const found = list(user, 'identifiers').find((entry) => text(object(entry) ?? {}, 'type') === type)
  return text(object(found) ?? {}, 'value')
}

/** argon2, bcrypt and PBKDF2 come as one string in a supported format; scrypt comes in parts. */
function customHash(user: Fields): string | undefined {
  const custom = object(member(user, 'custom_password_hash'))
  const hash = object(custom && member(custom, 'hash'))
  const [algorithm, value] = [custom && text(custom, 'algorithm'), hash && text(hash, 'value')]
  if (!custom || !hash || !algorithm || value === undefined) return undefined
  const encoding = text(object(member(custom, 'password')) ?? {}, 'encoding') ?? 'utf8'
  if (!['utf8', 'ascii'].includes(encoding)) return `auth0-password-in-${encoding}`
  if (['argon2', 'bcrypt', 'pbkdf2', 'ldap'].includes(algorithm)) return value
  if (algorithm !== 'scrypt') return `${algorithm}$`
  const salt = object(member(custom, 'salt')) ?? {}
  const [saltBytes, key] = [bytesOf(salt, 'utf8'), bytesOf(hash, 'base64')]
  const number = (name: string, fallback: number) => Number(member(custom, name) ?? fallback)
  // The defaults are those of Node's crypto.scrypt.
  const cost = {
    costFactor: number('cost', 16384),
    blockSize: number('blockSize', 8),
    parallelism: number('parallelization', 1),
  }
  return saltBytes && key ? formatScrypt(cost, saltBytes, key) : 'scrypt$'
}

function bytesOf(part: Fields, defaultEncoding: string): Buffer | undefined {
  const value = text(part, 'value') ?? ''
  const encoding = text(part, 'encoding') ?? defaultEncoding
  if (encoding === 'hex') return bytesOfHex(value)
  return encoding === 'base64' ? bytesOfBase64(value) : Buffer.from(value)
}
