import { createHash, createHmac } from 'node:crypto'
import { type KnownHash, withoutSpareBits } from './encoding.ts'
import { bcryptWork } from './hashWork.ts'

/** Accepted bcrypt costs (log2 of the rounds). */
const costLimits = { minimum: 4, maximum: 15 }

/**
 * Reads bcrypt over a SHA-256 of the password, which lifts bcrypt's limit of 72 bytes; undefined
 * for any other hash.
 */
export function readBcryptSha256(hash: string): KnownHash | undefined {
  const read = readDjango(hash) ?? readPasslib(hash) ?? readPasslibVersion1(hash)
  const cost = Number(read?.bcrypt.slice(4, 6))
  if (!read || cost < costLimits.minimum || cost > costLimits.maximum) return undefined
  const bcrypt = withoutSpareBits(read.bcrypt)
  return { verify: (password) => Bun.password.verify(read.prepared(password), bcrypt), work: bcryptWork(cost) }
}

interface BcryptSha256 {
  readonly bcrypt: string
  /** Returns bcrypt's input for a password. */
  readonly prepared: (password: string) => string
}

/** `bcrypt_sha256$$2b$12$…`: over the hexadecimal digest. */
function readDjango(hash: string): BcryptSha256 | undefined {
  const [, bcrypt] = /^bcrypt_sha256\$(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})$/.exec(hash) ?? []
  return bcrypt === undefined
    ? undefined
    : { bcrypt, prepared: (password) => createHash('sha256').update(password).digest('hex') }
}

/**
 * passlib's version 2, `$bcrypt-sha256$v=2,t=2b,r=12$SALT$DIGEST`: over the base64 of an HMAC keyed
 * with the encoded salt.
 */
function readPasslib(hash: string): BcryptSha256 | undefined {
  const [, type, rounds = '', salt = '', digest] =
    /^\$bcrypt-sha256\$v=2,t=(2[by]),r=(\d{1,2})\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$/.exec(hash) ?? []
  if (digest === undefined) return undefined
  return {
    bcrypt: `$${type}$${rounds.padStart(2, '0')}$${salt}${digest}`,
    prepared: (password) => createHmac('sha256', salt).update(password).digest('base64'),
  }
}

/**
 * passlib's version 1 (before 1.7.3), `$bcrypt-sha256$2b,12$SALT$DIGEST`: over the base64 of the
 * digest.
 */
function readPasslibVersion1(hash: string): BcryptSha256 | undefined {
  const [, type, rounds = '', salt, digest] =
    /^\$bcrypt-sha256\$(2[aby]),(\d{1,2})\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$/.exec(hash) ?? []
  if (digest === undefined) return undefined
  return {
    bcrypt: `$${type}$${rounds.padStart(2, '0')}$${salt}${digest}`,
    prepared: (password) => createHash('sha256').update(password).digest('base64'),
  }
}
