import type { Log } from '../../telemetry/log.ts'
import type { NoteVerifier } from '../transparency/signedNote.ts'
import type { Policy, Witness } from './policy.ts'
import type { SubmissionFailure } from './submission.ts'

export interface WitnessState {
  /** The name in the policy. */
  readonly name: string
  /** When it last cosigned, in milliseconds since the epoch. */
  readonly cosignedAt: number | undefined
  /** Why the last attempt of this process failed. Undefined if it succeeded. */
  readonly failure: SubmissionFailure['failure'] | undefined
}

/** What this process knows about each witness, and logs about it. */
export function createWitnessBook({ witnesses }: Policy, log: Log) {
  const failures = new Map<Witness, SubmissionFailure['failure']>()
  const times = new Map<string, number>()
  return {
    cosigned: (key: NoteVerifier, at: number): void => {
      times.set(nameOf(key), at)
    },
    succeeded: (witness: Witness): void => {
      failures.delete(witness)
    },
    /** `note` is what was sent. */
    failed: (asked: readonly Witness[], { failure, size, message }: SubmissionFailure, note: string): void => {
      for (const witness of asked) failures.set(witness, failure)
      const fields = { witnesses: asked.map(({ name }) => name), url: asked[0]?.url, reason: failure }
      if (failure !== 'forked' && failure !== 'ahead') log.warn('audit.witness_failed', { ...fields, message })
      else log.error('audit.witness_contradicts', { ...fields, size, note, detail: contradictions[failure] })
    },
    state: (): readonly WitnessState[] =>
      witnesses.map((witness) => ({
        name: witness.name,
        cosignedAt: times.get(nameOf(witness.key)),
        failure: failures.get(witness),
      })),
  }
}

const contradictions = {
  forked: 'the witness has cosigned an audit log that this one does not continue; keep this line, which is evidence',
  ahead: 'the witness has cosigned a larger audit log, so the one in the database was rolled back',
}

/** The name of a key with its id, since a witness may have several keys of one name. */
export function nameOf({ name, id }: Pick<NoteVerifier, 'name' | 'id'>): string {
  return `${name}+${id.toString('hex')}`
}
