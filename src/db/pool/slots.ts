import type { AppError } from '../../error.ts'
import { reachesConnectionLimit } from '../failure.ts'
import type { AvailabilityObserver } from './availabilityLog.ts'
import type { OpenConnection } from './connection.ts'
import type { Connector, HostObserver } from './connector.ts'
import { capacity, hasConnection, type Lane, mayBorrow, type PooledConnection, type Slot, weightOn } from './lanes.ts'

/** The connections of a pool, over all lanes. */
export interface Connections {
  readonly connector: Connector
  readonly lanes: readonly Lane[]
  readonly slots: readonly Slot[]
  /** Milliseconds by a monotonic clock. */
  readonly now: () => number
  /** A network may drop a connection. */
  readonly hasNetwork: boolean
  /**
   * Called when waiting operations may have become runnable, or another attempt to connect is due.
   */
  readonly onAvailable: () => void
  /** Called when an attempt to connect failed. */
  readonly onConnectFailed: (failure: AppError) => void
  /** For the attempt to connect that is due next. */
  retry: { readonly timer: ReturnType<typeof setTimeout>; readonly dueAt: number } | undefined
  isClosed: boolean
  /** Connections opened so far. */
  opened: number
}

export interface PoolState {
  readonly connections: number
  /** Operations without a connection yet. */
  readonly waiting: number
  /** Connections opened since the start. */
  readonly opened: number
}

export function stateOf({ lanes, slots, opened }: Connections): PoolState {
  return {
    connections: slots.filter(({ pooled }) => pooled).length,
    waiting: lanes.reduce((sum, { waiting }) => sum + waiting.length, 0),
    opened,
  }
}

/** Milliseconds between two attempts to fill one slot. */
const retryDelay = 200
/**
 * Milliseconds until a connection is replaced, and at most as long again, so that not all expire at
 * once.
 */
const lifetime = 1_800_000
/** Milliseconds without an operation after which a connection is checked before the next one. */
const idleLimit = 5000
/** Milliseconds that a connection gets to respond to a check. */
const checkLimit = 300

/**
 * Returns a connection that can take one more operation of the lane. A lane without a connection of
 * its own borrows. Retires expired connections, and checks idle ones, which are available later.
 */
export function findAvailable(connections: Connections, lane: Lane): PooledConnection | undefined {
  return findIn(connections, lane.slots, lane) ?? (hasConnection(lane) ? undefined : borrow(connections, lane))
}

function findIn(connections: Connections, slots: readonly Slot[], lane: Lane): PooledConnection | undefined {
  for (const slot of slots) {
    const { pooled } = slot
    if (pooled === undefined || pooled.load + weightOn(lane, pooled) > capacity) continue
    const now = connections.now()
    if (now >= pooled.expiresAt) retire(slot, pooled)
    else if (connections.hasNetwork && pooled.load === 0 && now - pooled.lastReleasedAt > idleLimit)
      check(connections, pooled)
    else return pooled
  }
  return undefined
}

/** Takes over a connection of a lane that has several, or uses its only one and connects too. */
function borrow(connections: Connections, lane: Lane): PooledConnection | undefined {
  for (const lender of connections.lanes) {
    if (lender === lane || !mayBorrow(connections, lane, lender)) continue
    const pooled = findIn(connections, lender.slots, lane)
    if (pooled === undefined) continue
    const [own] = lane.slots
    if (own && lender.slots.filter((slot) => slot.pooled).length > 1) {
      for (const slot of lender.slots) if (slot.pooled === pooled) slot.pooled = undefined
      own.pooled = pooled
    } else if (own && !own.isConnecting) connectIfDue(connections, own)
    return pooled
  }
  return undefined
}

/**
 * Sends a query on a connection that was idle, because a network may have dropped it without a
 * word. Discards it unless the response comes in time.
 */
function check(connections: Connections, pooled: PooledConnection): void {
  pooled.load += capacity
  pooled.isChecking = true
  const fail = () => {
    clearTimeout(timer)
    discard(connections, pooled)
    connections.onAvailable()
  }
  const timer = setTimeout(fail, checkLimit)
  pooled.connection.client.unsafe('SELECT 1').then(() => {
    clearTimeout(timer)
    pooled.isChecking = false
    pooled.load -= capacity
    pooled.lastReleasedAt = connections.now()
    connections.onAvailable()
  }, fail)
}

/**
 * Connects empty slots of the lane, one for each waiting operation that none is connecting or being
 * checked for yet.
 */
export function connectForWaiting(connections: Connections, { slots, waiting }: Lane): void {
  if (waiting.length === 0) return
  const expected = slots.filter(({ pooled, isConnecting }) => isConnecting || pooled?.isChecking).length
  const empty = slots.filter(({ pooled, isConnecting }) => !pooled && !isConnecting)
  for (const slot of empty.slice(0, Math.max(0, waiting.length - expected))) {
    const delay = connectIfDue(connections, slot)
    if (delay !== undefined) retryIn(connections, delay)
  }
}

/** Returns the milliseconds until an attempt is due. Undefined if one is in progress. */
function connectIfDue(connections: Connections, slot: Slot): number | undefined {
  const now = connections.now()
  const wait = connections.connector.nextAttemptIn(now, hasAnyConnection(connections))
  if (wait === undefined || connections.isClosed) return undefined
  const delay = Math.max(wait, slot.retryAt - now)
  if (delay > 0) return delay
  connect(connections, slot, now)
  return undefined
}

function connect(connections: Connections, slot: Slot, now: number): void {
  slot.isConnecting = true
  slot.retryAt = now + retryDelay
  connections.connector.open().then(
    (connection) => {
      slot.isConnecting = false
      // The slot may have taken over a connection since.
      const target = slot.pooled ? connections.slots.find(({ pooled, isConnecting }) => !pooled && !isConnecting) : slot
      if (connections.isClosed || target === undefined) return void connection.end()
      connections.opened++
      discardOtherRuns(connections, connection)
      const pooled = createPooled(connections, connection)
      target.pooled = pooled
      void connection.closed.then(() => discard(connections, pooled))
      connections.onAvailable()
    },
    (failure: AppError) => {
      slot.isConnecting = false
      connections.onConnectFailed(failure)
    },
  )
}

function createPooled({ now }: Connections, connection: OpenConnection): PooledConnection {
  const openedAt = now()
  const expiresAt = openedAt + lifetime * (1 + Math.random())
  return { connection, expiresAt, load: 0, lastReleasedAt: openedAt, isChecking: false, isRetired: false }
}

function retryIn(connections: Connections, milliseconds: number): void {
  const dueAt = connections.now() + milliseconds
  if (connections.retry && connections.retry.dueAt <= dueAt) return
  clearTimeout(connections.retry?.timer)
  const timer = setTimeout(() => {
    connections.retry = undefined
    connections.onAvailable()
  }, milliseconds)
  connections.retry = { timer, dueAt }
}

/** Gives the connection no new operations. It ends after those in progress. */
function retire(slot: Slot, pooled: PooledConnection): void {
  slot.pooled = undefined
  pooled.isRetired = true
  if (pooled.load === 0) void pooled.connection.end()
}

/** Fails everything in progress on the connection and empties its slot. */
export function discard({ slots }: Connections, pooled: PooledConnection): void {
  for (const slot of slots) if (slot.pooled === pooled) slot.pooled = undefined
  pooled.connection.discard(pooled.load > 0)
}

/**
 * Discards connections to another run of the server: it has restarted, or there is a new primary.
 */
function discardOtherRuns(connections: Connections, { facts }: OpenConnection): void {
  for (const { pooled } of connections.slots)
    if (pooled && pooled.connection.facts?.instance !== facts?.instance) discard(connections, pooled)
}

/** Discards connections, retired ones too, and connects again where operations wait. */
export function discardStale(
  connections: Connections,
  observer: AvailabilityObserver,
  ...[stale, reason]: Parameters<HostObserver['onStale']>
): void {
  observer.fenced(reason)
  for (const slot of connections.slots)
    if (slot.pooled && stale.includes(slot.pooled.connection)) slot.pooled = undefined
  for (const connection of stale) connection.fence()
  connections.onAvailable()
}

/** Discards every connection that has been idle since `time`. */
export function discardIdleSince(connections: Connections, time: number): void {
  for (const { pooled } of connections.slots)
    if (pooled?.load === 0 && pooled.lastReleasedAt < time) discard(connections, pooled)
}

/** Returns whether there is a connection in any lane. */
function hasAnyConnection({ lanes }: Connections): boolean {
  return lanes.some(hasConnection)
}

/**
 * Returns whether waiting operations can expect a connection after this failure to connect: there
 * is one, one is coming, or the next attempt may be within the server's limit.
 */
export function canExpectConnection(connections: Connections, failure: AppError): boolean {
  const { connector, slots } = connections
  if (hasAnyConnection(connections) || slots.some(({ isConnecting }) => isConnecting)) return true
  return reachesConnectionLimit(failure) && connector.isLimitTemporary()
}

/** Ends every connection after its operations in progress. */
export async function endConnections(connections: Connections): Promise<void> {
  clearTimeout(connections.retry?.timer)
  await Promise.all(connections.slots.map(({ pooled }) => pooled?.connection.end()))
  await connections.connector.close()
}
