import { type Checkpoint, readUnverified } from '../transparency/checkpoint.ts'
import { isOfKey, isSignature, type NoteSignature, type NoteVerifier, splitNote } from '../transparency/signedNote.ts'
import { cosignedAt } from '../witnesses/cosignature.ts'
import type { Policy, Witness } from '../witnesses/policy.ts'

/** What an auditor has got from elsewhere than the export. */
export interface Trust {
  /** Keys of the log, under each of its names. */
  readonly keys: readonly NoteVerifier[]
  readonly policy: Policy | undefined
}

export interface OpenedCheckpoint extends Checkpoint {
  /** Whether one of the keys signed it. Otherwise, only unknown keys did. */
  readonly isSigned: boolean
  /** What is wrong with its cosignatures. */
  readonly problems: readonly string[]
}

/** Returns the checkpoint in a note, or why it counts for nothing. */
export function openCheckpoint(note: string, { keys, policy }: Trust): OpenedCheckpoint | string {
  const { text, signatures } = splitNote(note) ?? { text: '', signatures: [] }
  const checkpoint = readUnverified(text, text.slice(0, text.indexOf('\n')))
  if (!checkpoint || checkpoint.origin === '') return 'is malformed'
  const names: string[] = []
  for (const line of signatures) {
    const key = keys.find((known) => isOfKey(line, known))
    if (key && !isSignature(key, text, line.signature)) return `has a wrong signature of ${key.name}`
    if (key) names.push(key.name)
  }
  const isSigned = names.length > 0
  if (isSigned && !names.includes(checkpoint.origin)) return `has the name of another log: ${checkpoint.origin}`
  const problems = policy?.witnesses.flatMap((witness) => cosignatureProblems(witness, text, signatures)) ?? []
  return { ...checkpoint, isSigned, problems }
}

function cosignatureProblems({ name, key }: Witness, text: string, signatures: readonly NoteSignature[]): string[] {
  const wrong = signatures.filter((line) => isOfKey(line, key) && cosignedAt(key, text, line) === undefined)
  return wrong.map(() => `has a wrong cosignature of ${name}`)
}

/** Returns whether enough witnesses have cosigned a checkpoint. */
export function hasQuorum(note: string, policy: Policy): boolean {
  const { text, signatures } = splitNote(note) ?? { text: '', signatures: [] }
  const isCosigned = ({ key }: Witness) => signatures.some((line) => cosignedAt(key, text, line) !== undefined)
  return policy.isQuorum(new Set(policy.witnesses.filter(isCosigned)))
}
