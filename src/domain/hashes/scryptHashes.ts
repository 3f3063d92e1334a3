import { createCipheriv, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { bytesOfBase64, bytesOfHex, type KnownHash, phcField } from './encoding.ts'
import { decoyPassword, type HashWork } from './hashWork.ts'

/** The cost parameters N, r and p (RFC 7914 §2). */
export interface ScryptCost {
  readonly costFactor: number
  readonly blockSize: number
  readonly parallelism: number
}

/**
 * Bytes that one computation may allocate, and bytes that all its p passes may process. Werkzeug's
 * default takes 32 MiB.
 */
const maximumCost = { memory: 256 * 2 ** 20, total: 2 ** 30 }

/** Reads an scrypt hash in one of the formats below; undefined for any other hash. */
export function readScrypt(hash: string): KnownHash | undefined {
  const read = readDjango(hash) ?? readWerkzeug(hash) ?? readPasslib(hash)
  if (!read) return undefined
  const { cost, salt, key } = read
  if (!salt || !key || !isWithinLimits(cost) || key.length < 16 || key.length > 64) return undefined
  return {
    verify: async (password) => timingSafeEqual(await derive(password, salt, key.length, cost), key),
    work: workOf(cost),
  }
}

/**
 * Reads `$firebase-scrypt$ln=14,r=8,p=1$SALT$STREAM`. Firebase's hash is the project's signer key,
 * encrypted by AES-256-CTR under a key derived from the password. SALT ends with the project's
 * separator. STREAM is the hash XOR the signer key, so the signer key is not stored.
 */
export function readFirebaseScrypt(hash: string): KnownHash | undefined {
  const [, exponent, blockSize, saltText = '', streamText = ''] =
    /^\$firebase-scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=1\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(hash) ?? []
  const [salt, stream] = [bytesOfBase64(saltText), bytesOfBase64(streamText)]
  const cost = { costFactor: 2 ** Number(exponent), blockSize: Number(blockSize), parallelism: 1 }
  if (!salt || !stream || stream.length < 16 || stream.length > 64 || !isWithinLimits(cost)) return undefined
  const encrypted = (key: Buffer) =>
    createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(stream.length))
  return {
    verify: async (password) => timingSafeEqual(encrypted(await derive(password, salt, 32, cost)), stream),
    work: workOf(cost),
  }
}

/** Returns passlib's format, in which hashes are stored whose parts come separately (Auth0). */
export function formatScrypt({ costFactor, blockSize, parallelism }: ScryptCost, salt: Buffer, key: Buffer): string {
  return `$scrypt$ln=${Math.log2(costFactor)},r=${blockSize},p=${parallelism}$${phcField(salt)}$${phcField(key)}`
}

export interface FirebaseParameters {
  readonly signerKey: Buffer
  readonly saltSeparator: Buffer
  readonly rounds: number
  readonly memoryCost: number
}

/**
 * Returns the format of `readFirebaseScrypt`; undefined if hash and signer key differ in length.
 */
export function formatFirebaseScrypt(
  parameters: FirebaseParameters,
  userSalt: Buffer,
  hash: Buffer,
): string | undefined {
  const { signerKey, saltSeparator, rounds, memoryCost } = parameters
  if (hash.length !== signerKey.length) return undefined
  const stream = hash.map((byte, at) => byte ^ (signerKey[at] ?? 0))
  const salt = Buffer.concat([userSalt, saltSeparator])
  return `$firebase-scrypt$ln=${memoryCost},r=${rounds},p=1$${phcField(salt)}$${phcField(Buffer.from(stream))}`
}

interface Scrypt {
  readonly cost: ScryptCost
  readonly salt: Buffer | undefined
  readonly key: Buffer | undefined
}

/** `scrypt$N$SALT$R$P$BASE64`; the salt is text. */
function readDjango(hash: string): Scrypt | undefined {
  const [, costFactor, salt = '', blockSize, parallelism, key] =
    /^scrypt\$(\d{1,8})\$([!-#%-~]{1,128})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/]+=*)$/.exec(hash) ?? []
  return key === undefined
    ? undefined
    : { cost: costOf(costFactor, blockSize, parallelism), salt: Buffer.from(salt), key: bytesOfBase64(key) }
}

/** `scrypt:N:R:P$SALT$HEX`; the salt is text. */
function readWerkzeug(hash: string): Scrypt | undefined {
  const [, costFactor, blockSize, parallelism, salt = '', key] =
    /^scrypt:(\d{1,8}):(\d{1,2}):(\d{1,2})\$([!-#%-~]{1,128})\$([0-9a-f]+)$/.exec(hash) ?? []
  return key === undefined
    ? undefined
    : { cost: costOf(costFactor, blockSize, parallelism), salt: Buffer.from(salt), key: bytesOfHex(key) }
}

/** `$scrypt$ln=EXPONENT,r=R,p=P$SALT$KEY`: the PHC string format. */
function readPasslib(hash: string): Scrypt | undefined {
  const [, exponent, blockSize, parallelism, salt = '', key] =
    /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(hash) ?? []
  return key === undefined
    ? undefined
    : {
        cost: costOf(2 ** Number(exponent), blockSize, parallelism),
        salt: bytesOfBase64(salt),
        key: bytesOfBase64(key),
      }
}

function costOf(costFactor: unknown, blockSize: unknown, parallelism: unknown): ScryptCost {
  return { costFactor: Number(costFactor), blockSize: Number(blockSize), parallelism: Number(parallelism) }
}

/**
 * Also whether scrypt accepts the parameters: N must be a power of two above one and below 2^(16r)
 * (RFC 7914 §2).
 */
function isWithinLimits({ costFactor, blockSize, parallelism }: ScryptCost): boolean {
  const memory = memoryOf({ costFactor, blockSize, parallelism })
  const isPower = costFactor > 1 && Number.isInteger(Math.log2(costFactor))
  return (
    isPower &&
    costFactor < 2 ** (16 * blockSize) &&
    blockSize > 0 &&
    parallelism > 0 &&
    memory <= maximumCost.memory &&
    memory * parallelism <= maximumCost.total
  )
}

function memoryOf({ costFactor, blockSize }: ScryptCost): number {
  return 128 * costFactor * blockSize
}

function workOf(cost: ScryptCost): HashWork {
  const { costFactor, blockSize, parallelism } = cost
  return {
    kind: `scrypt with N=${costFactor}, r=${blockSize}, p=${parallelism}`,
    amount: 1,
    share: (2.4 * costFactor * blockSize * parallelism) / 2 ** 20,
    memory: memoryOf(cost),
    isKept: true,
    spend: async () => derive(decoyPassword, Buffer.alloc(16), 32, cost),
  }
}

function derive(password: string, salt: Buffer, length: number, cost: ScryptCost): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const { costFactor, blockSize, parallelism } = cost
  // OpenSSL also counts the blocks of the p passes; the actual limit is `maximumCost`.
  const options: ScryptOptions = { N: costFactor, r: blockSize, p: parallelism, maxmem: 2 * maximumCost.memory }
  scrypt(password, salt, length, options, (error, key) => (error ? reject(error) : resolve(key)))
  return promise
}
