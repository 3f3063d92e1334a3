import { readBcryptSha256 } from './bcryptSha256Hashes.ts'
import type { KnownHash } from './encoding.ts'
import { readPbkdf2 } from './pbkdf2Hashes.ts'
import { readFirebaseScrypt, readScrypt } from './scryptHashes.ts'

/**
 * Reads a hash of PBKDF2, scrypt, or bcrypt over SHA-256, in the formats of Django, Werkzeug,
 * passlib, Keycloak, Firebase and Auth0. Undefined for any other hash, and for one above our cost
 * limits: write access to a hash must not be enough to stop the service.
 */
export function readThirdPartyHash(hash: string): KnownHash | undefined {
  return readPbkdf2(hash) ?? readScrypt(hash) ?? readFirebaseScrypt(hash) ?? readBcryptSha256(hash)
}

const django = /^(?:bcrypt\$(?=\$2)|argon2(?=\$argon2))/
const scheme = /^\{(?:bcrypt|crypt|blf-crypt|argon2(?:id|i|d)?(?:@\w{1,50})?)\}(?=\$)/i

/**
 * Removes the name that Django (`bcrypt$`), LDAP and Dovecot (`{CRYPT}`, `{BLF-CRYPT}`) and Spring
 * (`{bcrypt}`, `{argon2@SpringSecurity_v5_8}`) put in front of standard bcrypt and argon2 hashes.
 */
export function withoutPrefix(hash: string): string {
  return hash.replace(django, '').replace(scheme, '')
}
