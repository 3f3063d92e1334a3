import type { Database } from '../../db/database.ts'
import { AppError } from '../../error.ts'
import { proveConsistency } from '../transparency/proofs.ts'
import type { NoteVerifier } from '../transparency/signedNote.ts'
import { subtreesFrom } from '../transparency/tileReader.ts'
import { tileWidth } from '../transparency/tree.ts'
import {
  type CosignatureLine,
  readAnswer,
  type WitnessFailure,
  type WitnessResponse,
  writeSubmission,
} from './addCheckpoint.ts'
import type { Target } from './target.ts'

export type Submitted =
  | { readonly cosignatures: readonly CosignatureLine[] }
  /** The witness has a later checkpoint of this log, which another process has sent. */
  | { readonly size: number }
  | SubmissionFailure

export interface SubmissionFailure {
  /** `unreachable`: there was no response in time. `response`: it was beyond the bounds. */
  readonly failure: WitnessFailure | 'unreachable' | 'response'
  /** The size that the witness has. */
  readonly size?: number
  readonly message?: string
}

interface SubmissionDeps {
  readonly database: Pick<Database, 'audit'>
  readonly post: (url: string, body: string) => Promise<WitnessResponse>
}

interface Request {
  /** The submission prefix of the witness. */
  readonly url: string
  readonly keys: readonly NoteVerifier[]
  readonly target: Target
  /** The size that the witness is believed to have. */
  readonly old: number
}

/** Sends a checkpoint to a witness, and again if it has another size. */
export async function submitCheckpoint(deps: SubmissionDeps, { url, keys, target, old }: Request): Promise<Submitted> {
  const { size, note } = target
  // A wrong belief is corrected by the response.
  let from = old <= size ? old : 0
  for (let attempt = 1; ; attempt++) {
    const proof = await prove(deps, from, size)
    const submission = { old: from, proof, size, note }
    const response = await post(deps, url, writeSubmission(submission))
    if ('failure' in response) return response
    const answer = readAnswer(submission, response, keys)
    if (!('size' in answer)) return answer
    if (answer.size > size) {
      const newest = await deps.database.audit.newestCheckpoint()
      return answer.size <= newest.size ? answer : { failure: 'ahead', size: answer.size }
    }
    if (attempt === 2) return { failure: 'conflict', size: answer.size }
    from = answer.size
  }
}

async function post(deps: SubmissionDeps, url: string, body: string): Promise<WitnessResponse | SubmissionFailure> {
  try {
    return await deps.post(`${url.replace(/\/$/, '')}/add-checkpoint`, body)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { failure: error.code === 'refused' ? 'response' : 'unreachable', message: error.message }
  }
}

async function prove({ database: { audit } }: SubmissionDeps, from: number, size: number): Promise<readonly Buffer[]> {
  const read = subtreesFrom(size, ({ level, index, width }) => {
    const start = index * tileWidth
    return level === 0
      ? audit.listHashes(start, start + width, width)
      : audit.listNodes(level, start, width).then((nodes) => nodes.map(({ hash }) => hash))
  })
  return proveConsistency(from, size, read)
}
