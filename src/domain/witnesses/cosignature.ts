import {
  isOfKey,
  isSignature,
  type NoteSignature,
  type NoteVerifier,
  parseVerifierKey,
} from '../transparency/signedNote.ts'

/** The signature type of an Ed25519 cosignature (c2sp.org/tlog-cosignature). */
const cosignatureV1 = 0x04
const timeLength = 8
const latestTime = 2n ** 63n - 1n

/** Parses the verifier key of a witness. Returns undefined if it is malformed or not Ed25519. */
export function parseWitnessKey(vkey: string): NoteVerifier | undefined {
  return parseVerifierKey(vkey, cosignatureV1)
}

/**
 * Returns when the witness signed the text of a checkpoint, in seconds since the epoch. Undefined
 * if the signature is of another key or wrong.
 */
export function cosignedAt(key: NoteVerifier, text: string, line: NoteSignature): number | undefined {
  if (!isOfKey(line, key) || line.signature.length < timeLength) return undefined
  const time = line.signature.readBigUInt64BE()
  if (time > latestTime) return undefined
  const message = `cosignature/v1\ntime ${time}\n${text}`
  return isSignature(key, message, line.signature.subarray(timeLength)) ? Number(time) : undefined
}
