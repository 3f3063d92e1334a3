import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { bytesOfBase64, bytesOfHex, type KnownHash, phcField } from './encoding.ts'
import { decoyPassword, type HashWork, withoutMemory } from './hashWork.ts'

type Digest = 'sha1' | 'sha256' | 'sha512'

interface Pbkdf2 {
  readonly digest: Digest
  readonly iterations: number
  readonly salt: Buffer
  readonly key: Buffer
}

const digestBytes: Readonly<Record<Digest, number>> = { sha1: 20, sha256: 32, sha512: 64 }

/**
 * HMAC rounds over all blocks of the key, about one second. Django's default in 2026 is 1,200,000.
 */
const maximumCost = 10_000_000

/** Measured `share` (see `HashWork`) of a million rounds. */
const shareOfMillion: Readonly<Record<Digest, number>> = { sha1: 0.87, sha256: 0.95, sha512: 4.15 }

const derive = promisify(pbkdf2)

/**
 * Reads a PBKDF2 hash (RFC 8018 §5.2) in one of the formats below; undefined for any other hash.
 */
export function readPbkdf2(hash: string): KnownHash | undefined {
  const read = readDjango(hash) ?? readWerkzeug(hash) ?? readPasslib(hash) ?? readPhc(hash)
  if (!read || !isWithinLimits(read)) return undefined
  const { digest, iterations, salt, key } = read
  return {
    verify: async (password) => timingSafeEqual(await derive(password, salt, iterations, key.length, digest), key),
    work: workOf(digest, rounds(read)),
  }
}

/** Returns passlib's format, in which hashes are stored whose parts come separately (Keycloak). */
export function formatPbkdf2(digest: Digest, iterations: number, salt: Buffer, key: Buffer): string {
  const field = (bytes: Buffer) => phcField(bytes).replaceAll('+', '.')
  return `$pbkdf2${digest === 'sha1' ? '' : `-${digest}`}$${iterations}$${field(salt)}$${field(key)}`
}

/** `pbkdf2_sha256$ITERATIONS$SALT$BASE64`; the salt is text. */
function readDjango(hash: string): Pbkdf2 | undefined {
  const [, digest, iterations, salt, key] =
    /^pbkdf2_(sha1|sha256)\$(\d{1,8})\$([!-#%-~]{1,128})\$([A-Za-z0-9+/]+=*)$/.exec(hash) ?? []
  return assemble(digest, iterations, salt && Buffer.from(salt), key && bytesOfBase64(key))
}

/** `pbkdf2:sha256:ITERATIONS$SALT$HEX`; the salt is text. */
function readWerkzeug(hash: string): Pbkdf2 | undefined {
  const [, digest, iterations, salt, key] =
    /^pbkdf2:(sha1|sha256|sha512):(\d{1,8})\$([!-#%-~]{1,128})\$([0-9a-f]+)$/.exec(hash) ?? []
  return assemble(digest, iterations, salt && Buffer.from(salt), key && bytesOfHex(key))
}

/**
 * `$pbkdf2-sha256$ITERATIONS$SALT$KEY`, `$pbkdf2$…` for SHA-1, and the LDAP form
 * `{PBKDF2-SHA256}…`.
 */
function readPasslib(hash: string): Pbkdf2 | undefined {
  const [, digest = 'sha1', iterations, salt, key] =
    /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(\d{1,8})\$([A-Za-z0-9./+]*)\$([A-Za-z0-9./+]+)$/.exec(
      hash.replace(/^\{PBKDF2(-SHA256|-SHA512)?\}/, (_, kind = '') => `$pbkdf2${kind.toLowerCase()}$`),
    ) ?? []
  return assemble(digest, iterations, salt && bytesOfBase64(salt), key && bytesOfBase64(key))
}

/** `$pbkdf2-sha512$i=ITERATIONS,l=LENGTH$SALT$KEY`: the PHC string format, used by Auth0. */
function readPhc(hash: string): Pbkdf2 | undefined {
  const [, digest, iterations, length, salt, key] =
    /^\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,8}),l=(\d{1,3})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)$/.exec(hash) ?? []
  const read = assemble(digest, iterations, salt && bytesOfBase64(salt), key && bytesOfBase64(key))
  return read?.key.length === Number(length) ? read : undefined
}

function assemble(
  digest: string | undefined,
  iterations: string | undefined,
  salt: Buffer | '' | undefined,
  key: Buffer | '' | undefined,
): Pbkdf2 | undefined {
  if (!digest || !iterations || !salt || !key) return undefined
  return { digest: digest as Digest, iterations: Number(iterations), salt, key }
}

function isWithinLimits(read: Pbkdf2): boolean {
  // A key of a few bytes would match too many passwords.
  return read.iterations > 0 && read.key.length >= 16 && read.key.length <= 64 && rounds(read) <= maximumCost
}

function workOf(digest: Digest, rounds: number): HashWork {
  const bytes = digestBytes[digest]
  return {
    kind: `PBKDF2 with ${digest}`,
    amount: rounds,
    share: (rounds / 1_000_000) * shareOfMillion[digest],
    ...withoutMemory,
    spend: async (amount) => derive(decoyPassword, Buffer.alloc(bytes), amount, bytes, digest),
  }
}

function rounds({ digest, iterations, key }: Pbkdf2): number {
  return iterations * Math.ceil(key.length / digestBytes[digest])
}
