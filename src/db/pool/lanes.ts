import type { AppError } from '../../error.ts'
import type { Connection, DatabaseTarget, OpenConnection } from './connection.ts'

/** What is done on a connection. It settles when the connection ends, if not before. */
export type Work<T> = (connection: Connection) => Promise<T>

/** A connection, how many operations it has, and when it was last at rest. */
export interface PooledConnection {
  readonly connection: OpenConnection
  readonly retireAt: number
  held: number
  answeredAt: number
  isRetired: boolean
}

export interface Slot {
  pooled: PooledConnection | undefined
  isOpening: boolean
  notBefore: number
}

/** Places that take the same kind of work, and the work that waits for one. */
export interface Lane {
  readonly slots: readonly Slot[]
  readonly depth: number
  readonly mostWaiting: number
  readonly waiting: Task[]
}

/** One operation. It has a seat from its beginning until it is settled. */
export interface Task {
  readonly lane: Lane
  readonly work: Work<unknown>
  readonly startedAt: number
  readonly resolve: (value: never) => void
  readonly reject: (error: AppError) => void
  timer: ReturnType<typeof setTimeout> | undefined
  pooled: PooledConnection | undefined
  isRepeatable: boolean
}

/** Operations that may wait for a connection; one more is refused at once. */
const mostWaiting = { reads: 4096, others: 1024 }
/** Operations under way on a connection that is shared: what the driver sends without waiting for answers. */
const sharedDepth = 100
/** A server's connections are one for reads and the rest for all else; where there is but one, it is for both. */
export function createLanes(target: DatabaseTarget): { reads: Lane; others: Lane } {
  const line = (places: number, depth: number, mostWaiting: number): Lane => ({
    slots: Array.from({ length: places }, () => ({ pooled: undefined, isOpening: false, notBefore: 0 })),
    depth,
    mostWaiting,
    waiting: [],
  })
  if (target.kind === 'server' && target.poolSize > 1) {
    return {
      reads: line(1, sharedDepth, mostWaiting.reads),
      others: line(target.poolSize - 1, 1, mostWaiting.others),
    }
  }
  const only = line(1, target.kind === 'embedded' ? sharedDepth : 1, mostWaiting.reads)
  return { reads: only, others: only }
}
