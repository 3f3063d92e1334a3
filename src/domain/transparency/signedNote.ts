import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

/** Signs notes (c2sp.org/signed-note) with Ed25519. */
export interface NoteSigner extends NoteVerifier {
  readonly privateKey: KeyObject
}

export interface NoteVerifier {
  readonly name: string
  /** The first 4 bytes of a hash of name and key. */
  readonly id: Buffer
  readonly publicKey: KeyObject
  /** The public key in text form, as verifiers take it. */
  readonly vkey: string
}

const ed25519 = 0x01
/** The DER prefixes of an Ed25519 key in PKCS #8 and SPKI (RFC 8410). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')
const signatureLength = 64
/** Verifiers must accept 16. */
const maxSignatures = 100
const maxLength = 1_000_000

/** Returns the signer for a seed of 32 bytes. The name has no spaces and no plus signs. */
export function createNoteSigner(name: string, seed: Buffer): NoteSigner {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { ...verifierOf(name, spki.subarray(spkiPrefix.length)), privateKey }
}

function verifierOf(name: string, key: Buffer, type = ed25519): NoteVerifier {
  if (!isKeyName(name)) throw new Error('A key name must not be empty or contain spaces or plus signs.')
  const typed = Buffer.concat([Buffer.of(type), key])
  const id = createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, 4)
  const publicKey = createPublicKey({ key: Buffer.concat([spkiPrefix, key]), format: 'der', type: 'spki' })
  return { name, id, publicKey, vkey: `${name}+${id.toString('hex')}+${typed.toString('base64')}` }
}

/**
 * Parses a verifier key. Returns undefined if it is malformed or not Ed25519 of this signature
 * type.
 */
export function parseVerifierKey(vkey: string, type = ed25519): NoteVerifier | undefined {
  const [, name = '', id, encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? []
  const typed = fromBase64(encoded)
  if (!isKeyName(name) || typed?.length !== 33 || typed[0] !== type) return undefined
  const verifier = verifierOf(name, typed.subarray(1), type)
  return verifier.id.toString('hex') === id ? verifier : undefined
}

/** Returns the note of a text that ends in a newline, with one line for each signer. */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  const lines = signers.map(({ name, id, privateKey }) => {
    const signature = sign(null, Buffer.from(text), privateKey)
    return `— ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`
  })
  return `${text}\n${lines.join('')}`
}

export interface NoteSignature {
  readonly name: string
  readonly id: Buffer
  readonly signature: Buffer
}

/** Returns the text of a note and its signatures, unverified. Undefined if it is malformed. */
export function splitNote(note: string): { text: string; signatures: NoteSignature[] } | undefined {
  if (note.length > maxLength || hasControls(note) || !note.isWellFormed()) return undefined
  const split = note.lastIndexOf('\n\n')
  if (split < 0 || !note.endsWith('\n')) return undefined
  const lines = note.slice(split + 2, -1).split('\n')
  if (lines.length > maxSignatures) return undefined
  const signatures = lines.map(parseSignatureLine).filter((signature) => signature !== undefined)
  return signatures.length === lines.length ? { text: note.slice(0, split + 1), signatures } : undefined
}

/** Parses a signature line, without its newline. Returns undefined if it is malformed. */
export function parseSignatureLine(line: string): NoteSignature | undefined {
  const [, name = '', encoded = ''] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? []
  const bytes = fromBase64(encoded)
  if (!isKeyName(name) || !bytes || bytes.length < 5) return undefined
  return { name, id: bytes.subarray(0, 4), signature: bytes.subarray(4) }
}

/** Returns whether the name and id of a signature are those of a key. */
export function isOfKey({ name, id }: NoteSignature, key: NoteVerifier): boolean {
  return key.name === name && key.id.equals(id)
}

/**
 * Returns the text of a note that at least one of the verifiers signed. Unknown keys are skipped; a
 * wrong signature of a known one, or a malformed note, makes it undefined.
 */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): string | undefined {
  const { text, signatures } = splitNote(note) ?? { text: '', signatures: [] }
  let isVerified = false
  for (const line of signatures) {
    const known = verifiers.find((verifier) => isOfKey(line, verifier))
    if (!known) continue
    if (!isSignature(known, text, line.signature)) return undefined
    isVerified = true
  }
  return isVerified ? text : undefined
}

/** Returns whether a key made an Ed25519 signature over the UTF-8 of a text. */
export function isSignature({ publicKey }: NoteVerifier, text: string, signature: Buffer): boolean {
  return signature.length === signatureLength && verify(null, Buffer.from(text), publicKey, signature)
}

function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\s+]/u.test(name)
}

function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x20 && unit !== 0x0a) return true
  }
  return false
}

/** Returns undefined unless the text is the canonical encoding. */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? bytes : undefined
}
