import { isOfKey, type NoteVerifier, parseSignatureLine, splitNote } from '../transparency/signedNote.ts'
import { cosignedAt } from './cosignature.ts'

// The add-checkpoint call of c2sp.org/tlog-witness@v1.0.0.

export interface Submission {
  /** The size that the witness has. */
  readonly old: number
  /** Consistency from there. */
  readonly proof: readonly Buffer[]
  readonly size: number
  readonly note: string
}

export interface WitnessResponse {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface CosignatureLine {
  readonly key: NoteVerifier
  /** In seconds since the epoch. */
  readonly time: number
  /** Without its newline. */
  readonly line: string
}

/**
 * `forked`: the witness has seen a log that this one does not continue. `unknown_log`,
 * `unknown_key`: its operator must register the log or its key.
 */
export type WitnessFailure =
  | 'forked'
  | 'ahead'
  | 'unknown_log'
  | 'unknown_key'
  | 'malformed'
  | 'wrong_signature'
  | 'not_cosigned'
  | 'conflict'
  | 'status'

export type Answer =
  | { readonly cosignatures: readonly CosignatureLine[] }
  /** The witness has another size. */
  | { readonly size: number }
  | { readonly failure: WitnessFailure }

export function writeSubmission({ old, proof, note }: Omit<Submission, 'size'>): string {
  return `old ${old}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`
}

/** Interprets the response to a submission, and verifies the cosignatures of these keys in it. */
export function readAnswer(
  { old, size, note }: Submission,
  { status, contentType, body }: WitnessResponse,
  keys: readonly NoteVerifier[],
): Answer {
  switch (status) {
    case 200:
      return readCosignatures(note, body, keys)
    case 409:
      return readConflict({ old, size }, contentType, body)
    case 422:
      return { failure: 'forked' }
    case 404:
      return { failure: 'unknown_log' }
    case 403:
      return { failure: 'unknown_key' }
    default:
      return { failure: 'status' }
  }
}

function readConflict(sent: Pick<Submission, 'old' | 'size'>, contentType: string, body: string): Answer {
  const type = contentType.split(';')[0]?.trim().toLowerCase()
  if (type !== 'text/x.tlog.size' || !/^(0|[1-9]\d{0,15})\n$/.test(body) || !Number.isSafeInteger(Number(body)))
    return { failure: 'malformed' }
  const size = Number(body)
  if (size !== sent.old) return { size }
  // It has the size that was sent, so what differs is the root.
  return { failure: sent.size === sent.old ? 'forked' : 'conflict' }
}

function readCosignatures(note: string, body: string, keys: readonly NoteVerifier[]): Answer {
  const text = splitNote(note)?.text ?? ''
  const cosignatures: CosignatureLine[] = []
  if (!body.endsWith('\n')) return { failure: 'malformed' }
  for (const line of body.slice(0, -1).split('\n')) {
    const parsed = parseSignatureLine(line)
    if (!parsed) return { failure: 'malformed' }
    const key = keys.find((known) => isOfKey(parsed, known))
    if (!key) continue
    const time = cosignedAt(key, text, parsed)
    if (time === undefined) return { failure: 'wrong_signature' }
    if (!cosignatures.some((known) => known.key === key)) cosignatures.push({ key, time, line })
  }
  return cosignatures.length === 0 ? { failure: 'not_cosigned' } : { cosignatures }
}

/** Returns the note with these lines, each in place of a former one of the same key. */
export function withCosignatures(note: string, added: readonly CosignatureLine[]): string {
  const end = note.lastIndexOf('\n\n') + 2
  const lines = note.slice(end).split('\n').slice(0, -1)
  const isReplaced = (line: string) => {
    const parsed = parseSignatureLine(line)
    return parsed !== undefined && added.some(({ key }) => isOfKey(parsed, key))
  }
  const kept = lines.filter((line) => !isReplaced(line))
  return note.slice(0, end) + [...kept, ...added.map(({ line }) => line)].map((line) => `${line}\n`).join('')
}
