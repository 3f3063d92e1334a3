import { readBcryptSha256 } from './bcryptSha256Hashes.ts'
import type { KnownHash } from './encoding.ts'
import { readPbkdf2 } from './pbkdf2Hashes.ts'
import { readFirebaseScrypt, readScrypt } from './scryptHashes.ts'

/**
 * Reads a hash that `Bun.password` does not support: PBKDF2, scrypt, and bcrypt over SHA-256, in the formats of Django,
 * Werkzeug, passlib, Keycloak, Firebase and Auth0. Undefined for any other hash, and for one above our cost limits:
 * write access to a hash must not be enough to stop the service.
 */
export function readThirdPartyHash(hash: string): KnownHash | undefined {
  return readPbkdf2(hash) ?? readScrypt(hash) ?? readFirebaseScrypt(hash) ?? readBcryptSha256(hash)
}

/** Removes the name that Django puts in front of standard bcrypt and argon2 hashes. */
export function withoutDjangoPrefix(hash: string): string {
  return hash.replace(/^(?:bcrypt\$(?=\$2)|argon2(?=\$argon2))/, '')
}
