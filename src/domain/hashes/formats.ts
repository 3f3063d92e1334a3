import { readBcryptSha256 } from './bcryptSha256Hashes.ts'
import type { KnownHash } from './encoding.ts'
import { readPbkdf2 } from './pbkdf2Hashes.ts'
import { readFirebaseScrypt, readScrypt } from './scryptHashes.ts'

/**
 * Reads a hash that another program made and `Bun.password` does not know: PBKDF2, scrypt, and bcrypt over SHA-256, in the
 * spellings of Django, Werkzeug, passlib, Keycloak, Firebase and Auth0. Undefined for all else, and for one that is dearer than
 * we compute: whoever can write a hash into the database could stop the service with it.
 */
export function readThirdPartyHash(hash: string): KnownHash | undefined {
  return readPbkdf2(hash) ?? readScrypt(hash) ?? readFirebaseScrypt(hash) ?? readBcryptSha256(hash)
}

/** Django writes its own word before bcrypt and argon2 hashes; what stands behind is as everybody writes it. */
export function withoutDjangoPrefix(hash: string): string {
  return hash.replace(/^(?:bcrypt\$(?=\$2)|argon2(?=\$argon2))/, '')
}
