import { type NoteSigner, type NoteVerifier, openNote, signNote } from './signedNote.ts'

/** A signed tree head (c2sp.org/tlog-checkpoint). */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
}

const hashLength = 32

/** Returns the signed note of a checkpoint. */
export function writeCheckpoint({ origin, size, root }: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(`${origin}\n${size}\n${root.toString('base64')}\n`, signers)
}

/**
 * Returns the checkpoint in a note, if it is of this origin and one of the verifiers signed it.
 * Ignores extension lines.
 */
export function readCheckpoint(
  note: string,
  origin: string,
  verifiers: readonly NoteVerifier[],
): Checkpoint | undefined {
  const text = openNote(note, verifiers)
  return text === undefined ? undefined : readUnverified(text, origin)
}

/** Returns what a checkpoint says. Checks no signature. */
export function readUnverified(note: string, origin: string): Checkpoint | undefined {
  const [first, count = '', encoded = ''] = note.split('\n')
  const root = Buffer.from(encoded, 'base64')
  if (first !== origin || !/^(0|[1-9]\d{0,15})$/.test(count) || !Number.isSafeInteger(Number(count))) return undefined
  if (root.length !== hashLength || root.toString('base64') !== encoded) return undefined
  return { origin, size: Number(count), root }
}
