import type { AppError } from '../../error.ts'
import type { Connection, DatabaseTarget, OpenConnection } from './connection.ts'

/** The statements of one operation. Settles when the connection ends, if not before. */
export type Work<T> = (connection: Connection) => Promise<T>

/** An open connection and its use. Times are milliseconds by a monotonic clock. */
export interface PooledConnection {
  readonly connection: OpenConnection
  /** From then on no new operation gets it. */
  readonly expiresAt: number
  /** The weights of the operations in progress: at most `capacity`. */
  load: number
  lastReleasedAt: number
  /** Whether it is being checked after it was idle. */
  isChecking: boolean
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
  /** The part of a connection's capacity that one operation takes. */
  readonly weight: number
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
 * results. One that has a connection to itself takes all of it.
 */
export const capacity = 100

/**
 * Creates one lane for reads and one for everything else. A pool of one connection has a single
 * lane. On the embedded database both lanes have the one session, and a transaction has it to
 * itself.
 */
export function createLanes(target: DatabaseTarget): { reads: Lane; others: Lane } {
  if (target.kind === 'server' && target.poolSize > 1) {
    return {
      reads: createLane(1, 1, maxWaiting.reads),
      others: createLane(target.poolSize - 1, capacity, maxWaiting.others),
    }
  }
  const only = createLane(1, capacity, maxWaiting.reads)
  return { reads: target.kind === 'embedded' ? { ...only, weight: 1, waiting: [] } : only, others: only }
}

function createLane(size: number, weight: number, maxWaiting: number): Lane {
  const slots = Array.from({ length: size }, () => ({ pooled: undefined, isConnecting: false, retryAt: 0 }))
  return { slots, weight, maxWaiting, waiting: [] }
}

/**
 * Returns the part of a connection's capacity that an operation of the lane takes. Behind PgBouncer
 * it is all of it: a statement that was sent behind another one there may never get a response.
 */
export function weightOn({ weight }: Lane, { connection }: PooledConnection): number {
  return connection.facts?.isPooled ? capacity : weight
}

/** Returns whether the lane has a connection of its own. */
export function hasConnection({ slots }: Lane): boolean {
  for (const { pooled } of slots) if (pooled) return true
  return false
}

/** Returns whether the connection is the lane's, or the lane has to borrow. */
export function mayUse(lane: Lane, pooled: PooledConnection): boolean {
  for (const slot of lane.slots) if (slot.pooled === pooled) return true
  return !hasConnection(lane)
}

/** The lanes of a pool, and whether its server is likely to grant another connection. */
export interface Sharing {
  readonly lanes: readonly Lane[]
  readonly connector: { isGranting(): boolean }
}

/**
 * Returns whether the lane may use the only connection of another. A change may take long, so it
 * does not hold up reads if it can expect a connection for itself.
 */
export function mayBorrow({ connector }: Sharing, lane: Lane, lender: Lane): boolean {
  return lane.slots === lender.slots || lane.weight <= lender.weight || !connector.isGranting()
}

/**
 * Returns the operation that is next in the lane. While all lanes share one connection, it is the
 * oldest of any lane, so that none starves.
 */
export function nextOperation(sharing: Sharing, lane: Lane): Operation | undefined {
  if (!haveSharedConnection(sharing)) return lane.waiting[0]
  let oldest: Operation | undefined
  for (const { waiting } of sharing.lanes) {
    const [first] = waiting
    if (first && (oldest === undefined || first.startedAt < oldest.startedAt)) oldest = first
  }
  return oldest
}

/** Returns whether an operation may start before those that wait. */
export function isTurnOf(sharing: Sharing, lane: Lane): boolean {
  for (const other of sharing.lanes)
    if (other.waiting.length > 0 && (other === lane || haveSharedConnection(sharing))) return false
  return true
}

function haveSharedConnection(sharing: Sharing): boolean {
  let only: PooledConnection | undefined
  let owner: Lane | undefined
  for (const lane of sharing.lanes)
    for (const { pooled } of lane.slots) {
      if (pooled && only && pooled !== only) return false
      if (pooled) owner ??= lane
      only ??= pooled
    }
  for (const lane of sharing.lanes) if (owner === undefined || !mayBorrow(sharing, lane, owner)) return false
  return true
}
