import { bytesOfBase64, phcField } from '../hashes/encoding.ts'
import { formatPbkdf2 } from '../hashes/pbkdf2Hashes.ts'
import { joined, list, member, object, present, text, timeOfMilliseconds } from './fields.ts'
import type { Fields } from './importedUser.ts'

/**
 * Reads a user of a realm export (`kc.sh export`); undefined for a service account and a realm.
 * Keeps the ID and the realm roles, except those that Keycloak gives to every user.
 */
export function keycloakUser(user: Fields): Fields | undefined {
  if (text(user, 'serviceAccountClientId') !== undefined || isRealm(user)) return undefined
  return present({
    id: text(user, 'id'),
    username: text(user, 'username'),
    full_name: joined(text(user, 'firstName'), text(user, 'lastName')),
    hashed_password: passwordOf(user),
    is_active: member(user, 'enabled') === true,
    roles: list(user, 'realmRoles').filter((role) => !isDefaultRole(role)),
    must_change_password: list(user, 'requiredActions').includes('UPDATE_PASSWORD'),
    created_at: timeOfMilliseconds(member(user, 'createdTimestamp')),
  })
}

/** In a file of several realms, one without users. */
function isRealm(fields: Fields): boolean {
  return text(fields, 'realm') !== undefined && text(fields, 'username') === undefined
}

function isDefaultRole(role: unknown): boolean {
  return typeof role === 'string' && /^(default-roles-.*|offline_access|uma_authorization)$/.test(role)
}

/**
 * Returns null for a user without a password, such as one from LDAP or another identity provider.
 */
function passwordOf(user: Fields): string | null {
  const credentials = list(user, 'credentials').map((entry) => object(entry) ?? {})
  const credential = credentials.find((entry) => text(entry, 'type') === 'password')
  if (!credential) return null
  if (text(credential, 'hashedSaltedValue') !== undefined) return formatOldCredential(credential)
  // A realm file written by hand may have it.
  if (text(credential, 'value') !== undefined) return '{CLEARTEXT}'
  return formatCredential(parsed(credential, 'credentialData'), parsed(credential, 'secretData'))
}

/** Up to Keycloak 7. The first versions knew only PBKDF2 with SHA-1 and called it HmacSHA1. */
function formatOldCredential(credential: Fields): string {
  const algorithm = text(credential, 'algorithm') ?? 'pbkdf2'
  const secret = { value: member(credential, 'hashedSaltedValue'), salt: member(credential, 'salt') }
  return formatCredential({ ...credential, algorithm: algorithm === 'HmacSHA1' ? 'pbkdf2' : algorithm }, secret)
}

const digests = new Map<string, 'sha1' | 'sha256' | 'sha512'>([
  ['pbkdf2', 'sha1'],
  ['pbkdf2-sha256', 'sha256'],
  ['pbkdf2-sha512', 'sha512'],
])

/**
 * A hash without a supported format is returned as its algorithm's name, by which the import
 * reports it.
 */
function formatCredential(parameters: Fields, secret: Fields): string {
  const algorithm = text(parameters, 'algorithm') ?? ''
  const iterations = Number(member(parameters, 'hashIterations'))
  const [salt, value] = [bytesOfBase64(text(secret, 'salt') ?? ''), bytesOfBase64(text(secret, 'value') ?? '')]
  if (salt && value && algorithm === 'argon2') return formatArgon2(parameters, iterations, salt, value)
  const digest = digests.get(algorithm)
  if (salt && value && digest) return formatPbkdf2(digest, iterations, salt, value)
  // A widely used bcrypt extension stores the hash in bcrypt's own format.
  return algorithm === 'bcrypt' ? (text(secret, 'value') ?? '$2a$') : `$${algorithm}$`
}

/** Keycloak's default since version 25; each of `additionalParameters` is a list of one string. */
function formatArgon2(parameters: Fields, iterations: number, salt: Buffer, value: Buffer): string {
  const more = object(member(parameters, 'additionalParameters')) ?? {}
  const parameter = (name: string, fallback: string) => String(list(more, name)[0] ?? fallback)
  const version = parameter('version', '1.3') === '1.3' ? 19 : 16
  const cost = `m=${parameter('memory', '7168')},t=${iterations},p=${parameter('parallelism', '1')}`
  return `$argon2${parameter('type', 'id')}$v=${version}$${cost}$${phcField(salt)}$${phcField(value)}`
}

/** `credentialData` and `secretData` are JSON in a string. */
function parsed(credential: Fields, name: string): Fields {
  const value = member(credential, name)
  if (typeof value !== 'string') return object(value) ?? {}
  try {
    return object(JSON.parse(value)) ?? {}
  } catch {
    return {}
  }
}
