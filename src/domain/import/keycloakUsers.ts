import { bytesOfBase64, phcField } from '../hashes/encoding.ts'
import { formatPbkdf2 } from '../hashes/pbkdf2Hashes.ts'
import { joined, list, member, object, present, text, timeOfMilliseconds } from './fields.ts'
import type { Fields } from './importedUser.ts'

/**
 * A user of a realm export (`kc.sh export`). Ids stay. Roles are the realm's, without those that Keycloak gives to everybody.
 * Service accounts are no people.
 */
export function keycloakUser(user: Fields): Fields | undefined {
  if (text(user, 'serviceAccountClientId') !== undefined) return undefined
  return present({
    id: text(user, 'id'),
    username: text(user, 'username'),
    full_name: joined(text(user, 'firstName'), text(user, 'lastName')),
    hashed_password: passwordOf(user),
    is_active: member(user, 'enabled') === true,
    roles: list(user, 'realmRoles').filter((role) => !isEverybodys(role)),
    must_change_password: list(user, 'requiredActions').includes('UPDATE_PASSWORD'),
    created_at: timeOfMilliseconds(member(user, 'createdTimestamp')),
  })
}

function isEverybodys(role: unknown): boolean {
  return typeof role === 'string' && /^(default-roles-.*|offline_access|uma_authorization)$/.test(role)
}

/** Of a user who signs in elsewhere (LDAP, another provider) there is none. */
function passwordOf(user: Fields): string | null {
  const credentials = list(user, 'credentials').map((entry) => object(entry) ?? {})
  const credential = credentials.find((entry) => text(entry, 'type') === 'password')
  return credential ? spellCredential(parsed(credential, 'credentialData'), parsed(credential, 'secretData')) : null
}

const digests = new Map<string, 'sha1' | 'sha256' | 'sha512'>([
  ['pbkdf2', 'sha1'],
  ['pbkdf2-sha256', 'sha256'],
  ['pbkdf2-sha512', 'sha512'],
])

/** `credentialData` and `secretData` are texts of JSON. What cannot be spelled is named by its algorithm, and refused by that. */
function spellCredential(how: Fields, secret: Fields): string {
  const algorithm = text(how, 'algorithm') ?? ''
  const iterations = Number(member(how, 'hashIterations'))
  const [salt, value] = [bytesOfBase64(text(secret, 'salt') ?? ''), bytesOfBase64(text(secret, 'value') ?? '')]
  if (salt && value && algorithm === 'argon2') return spellArgon2(how, iterations, salt, value)
  const digest = digests.get(algorithm)
  if (salt && value && digest) return formatPbkdf2(digest, iterations, salt, value)
  // An extension that many add keeps the hash as bcrypt writes it.
  return algorithm === 'bcrypt' ? (text(secret, 'value') ?? '$2a$') : `$${algorithm}$`
}

/** Keycloak's default since version 24: `additionalParameters` are lists of one text each. */
function spellArgon2(how: Fields, iterations: number, salt: Buffer, value: Buffer): string {
  const more = object(member(how, 'additionalParameters')) ?? {}
  const parameter = (name: string, fallback: string) => String(list(more, name)[0] ?? fallback)
  const version = parameter('version', '1.3') === '1.3' ? 19 : 16
  const cost = `m=${parameter('memory', '7168')},t=${iterations},p=${parameter('parallelism', '1')}`
  return `$argon2${parameter('type', 'id')}$v=${version}$${cost}$${phcField(salt)}$${phcField(value)}`
}

function parsed(credential: Fields, name: string): Fields {
  const value = member(credential, name)
  if (typeof value !== 'string') return object(value) ?? {}
  try {
    return object(JSON.parse(value)) ?? {}
  } catch {
    return {}
  }
}
