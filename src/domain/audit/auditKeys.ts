import { createHmac, timingSafeEqual } from 'node:crypto'
import { createKeyDeriver, deriveKey, type SecretKeys } from '../../secretKeys.ts'
import { createNoteSigner, type NoteSigner } from '../transparency/signedNote.ts'

/** The keys of the audit log, derived from SECRET_KEY and SECRET_KEY_PREVIOUS. */
export interface AuditKeys {
  /** The name of a new log: the given one, or one that SECRET_KEY determines. */
  firstOrigin(): string
  /** A MAC by which the service recognizes the events that it wrote. */
  macOf(leaf: string): Buffer
  isMac(leaf: string, mac: Buffer): boolean
  /** A MAC of a record at its index. */
  sealOf(index: number, hash: Buffer): Buffer
  /** Returns whether one of the known keys made the seal. */
  isSeal(index: number, hash: Buffer, seal: Buffer): boolean
  /** The signers of checkpoints, the current one first. */
  signersFor(origin: string): readonly NoteSigner[]
  /** Identifies a text without telling it. */
  pseudonymOf(text: string): string
  /** Returns the pseudonyms that each known key gives a text. */
  pseudonymsOf(text: string): readonly string[]
}

const sealLength = 16

export function createAuditKeys(secretKeys: () => SecretKeys, origin?: string): AuditKeys {
  const eventKeys = createKeyDeriver(secretKeys, 'audittrail audit event')
  const sealKeys = createKeyDeriver(secretKeys, 'audittrail audit seal')
  const nameKeys = createKeyDeriver(secretKeys, 'audittrail audit name')
  const signers = new Map<string, { readonly keys: SecretKeys; readonly list: readonly NoteSigner[] }>()
  return {
    firstOrigin: () => origin ?? `audittrail/${originId(secretKeys().current)}`,
    macOf: (leaf) => mac(eventKeys()[0], leaf),
    isMac: (leaf, given) => eventKeys().some((key) => isEqual(mac(key, leaf), given)),
    sealOf: (index, hash) => seal(sealKeys()[0], index, hash),
    isSeal: (index, hash, given) => sealKeys().some((key) => isEqual(seal(key, index, hash), given)),
    signersFor: (origin) => {
      const keys = secretKeys()
      const known = signers.get(origin)
      if (known?.keys === keys) return known.list
      const seedOf = (secretKey: string) => deriveKey(secretKey, `audittrail audit checkpoint ${origin}`)
      const list = [...new Set([keys.current, ...keys.previous])].map((key) => createNoteSigner(origin, seedOf(key)))
      signers.set(origin, { keys, list })
      return list
    },
    pseudonymOf: (text) => pseudonym(nameKeys()[0], text),
    pseudonymsOf: (text) => nameKeys().map((key) => pseudonym(key, text)),
  }
}

function originId(secretKey: string): string {
  return deriveKey(secretKey, 'audittrail audit origin').subarray(0, 16).toString('hex')
}

function mac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest()
}

function pseudonym(key: Buffer, text: string): string {
  return mac(key, text).subarray(0, sealLength).toString('base64url')
}

function seal(key: Buffer, index: number, hash: Buffer): Buffer {
  const position = Buffer.alloc(8)
  position.writeBigUInt64BE(BigInt(index))
  const sealed = new Bun.CryptoHasher('sha256', key)
  sealed.update(position)
  sealed.update(hash)
  return sealed.digest().subarray(0, sealLength)
}

function isEqual(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
