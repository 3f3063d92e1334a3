import type { AppError } from '../../error.ts'
import type { Connection, DatabaseTarget, OpenConnection } from './connection.ts'

/** The statements of one operation. Settles when the connection ends, if not before. */
export type Work<T> = (connection: Connection) => Promise<T>

/** An open connection and its use. Times are milliseconds by `performance.now()`. */
export interface PooledConnection {
  readonly connection: OpenConnection
  /** From then on no new operation gets it. */
  readonly expiresAt: number
  /** Operations in progress. */
  checkedOut: number
  lastReleasedAt: number
  /** Ends once nothing is in progress. */
  isRetired: boolean
}

/** Room for one connection, filled again after it is lost. */
export interface Slot {
  pooled: PooledConnection | undefined
  isConnecting: boolean
  /** No attempt to connect before then. */
  retryAt: number
}

/** Slots for one kind of work, and the operations that wait for a connection. */
export interface Lane {
  readonly slots: readonly Slot[]
  /** Operations that may share a connection. */
  readonly maxCheckedOut: number
  readonly maxWaiting: number
  readonly waiting: Operation[]
}

/** One operation. It holds its connection from the start until it settles. */
export interface Operation {
  readonly lane: Lane
  readonly work: Work<unknown>
  readonly startedAt: number
  readonly resolve: (value: never) => void
  readonly reject: (error: AppError) => void
  timer: ReturnType<typeof setTimeout> | undefined
  pooled: PooledConnection | undefined
  /** May run a second time if its connection is lost. */
  isRepeatable: boolean
}

/** Operations that may wait for a connection. One more is rejected at once. */
const maxWaiting = { reads: 4096, others: 1024 }
/**
 * Operations in progress on a shared connection: what the driver pipelines without waiting for
 * results.
 */
const sharedConcurrency = 100

/**
 * Creates one lane for reads and one for everything else. A pool of one connection has a single
 * lane.
 */
export function createLanes(target: DatabaseTarget): { reads: Lane; others: Lane } {
  if (target.kind === 'server' && target.poolSize > 1) {
    return {
      reads: createLane(1, sharedConcurrency, maxWaiting.reads),
      others: createLane(target.poolSize - 1, 1, maxWaiting.others),
    }
  }
  const only = createLane(1, target.kind === 'embedded' ? sharedConcurrency : 1, maxWaiting.reads)
  return { reads: only, others: only }
}

function createLane(size: number, maxCheckedOut: number, maxWaiting: number): Lane {
  const slots = Array.from({ length: size }, () => ({ pooled: undefined, isConnecting: false, retryAt: 0 }))
  return { slots, maxCheckedOut, maxWaiting, waiting: [] }
}
