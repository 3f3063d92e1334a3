import type { EventRow } from './pending.ts'

/** A pending event with its id, which orders the log. */
export interface PendingEvent extends EventRow {
  /** A bigint, since anyone who writes SQL may have chosen it. */
  readonly id: string
  /** When a server last refused it; `future` if no server can have written the time. */
  readonly refused: 'never' | 'past' | 'future'
}

/** What a batch adds to the log. */
export interface Batch {
  readonly accepted: readonly SequencedEvent[]
  /** Ids of rows that were not written by this service. */
  readonly refused: readonly string[]
  readonly nodes: readonly { readonly level: number; readonly index: number; readonly hash: Buffer }[]
  readonly size: number
  readonly root: Buffer
  readonly note: string
}

export interface SequencedEvent extends PendingEvent {
  readonly index: number
  readonly hash: Buffer
  readonly seal: Buffer
  readonly time: string
  readonly type: string
  readonly byId: string | null
  readonly aboutId: string | null
  readonly outcome: string
}
