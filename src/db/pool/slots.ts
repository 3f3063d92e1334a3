import type { AppError } from '../../error.ts'
import type { OpenConnection } from './connection.ts'
import type { Connector } from './connector.ts'
import type { Lane, PooledConnection, Slot } from './lanes.ts'

/** The connections of a pool, over all lanes. */
export interface Connections {
  readonly connector: Connector
  readonly lanes: readonly Lane[]
  readonly slots: readonly Slot[]
  /**
   * Called when waiting operations may have become runnable, or another attempt to connect is due.
   */
  readonly onAvailable: () => void
  /** Called when an attempt to connect failed. */
  readonly onConnectFailed: (failure: AppError) => void
  retryTimer: ReturnType<typeof setTimeout> | undefined
  isClosed: boolean
  /** Connections opened so far. */
  opened: number
}

/** Milliseconds between two attempts to fill one slot. */
const retryDelay = 200
/**
 * Milliseconds until a connection is replaced, and at most as long again, so that not all expire at
 * once.
 */
const lifetime = 1_800_000

/** Returns a connection of the lane that can take one more operation. Retires expired ones. */
export function findAvailable({ slots, maxCheckedOut }: Lane): PooledConnection | undefined {
  for (const slot of slots) {
    const { pooled } = slot
    if (pooled === undefined || pooled.checkedOut >= maxCheckedOut) continue
    if (performance.now() < pooled.expiresAt) return pooled
    retire(slot, pooled)
  }
  return undefined
}

/**
 * Connects empty slots of the lane, one for each waiting operation that none is connecting for yet.
 */
export function connectForWaiting(connections: Connections, { slots, waiting }: Lane): void {
  const connecting = slots.filter(({ isConnecting }) => isConnecting).length
  const empty = slots.filter(({ pooled, isConnecting }) => !pooled && !isConnecting)
  for (const slot of empty.slice(0, Math.max(0, waiting.length - connecting))) connectWhenDue(connections, slot)
}

function connectWhenDue(connections: Connections, slot: Slot): void {
  const now = performance.now()
  const wait = connections.connector.nextAttemptIn(now)
  if (wait === undefined || connections.isClosed) return
  const delay = Math.max(wait, slot.retryAt - now)
  if (delay > 0) retryIn(connections, delay)
  else connect(connections, slot, now)
}

function connect(connections: Connections, slot: Slot, now: number): void {
  slot.isConnecting = true
  slot.retryAt = now + retryDelay
  connections.connector.open().then(
    (connection) => {
      slot.isConnecting = false
      if (connections.isClosed) return void connection.end()
      connections.opened++
      const pooled = createPooled(connection)
      slot.pooled = pooled
      void connection.closed.then(() => discard(connections, pooled))
      connections.onAvailable()
    },
    (failure: AppError) => {
      slot.isConnecting = false
      connections.onConnectFailed(failure)
    },
  )
}

function createPooled(connection: OpenConnection): PooledConnection {
  const openedAt = performance.now()
  const expiresAt = openedAt + lifetime * (1 + Math.random())
  return { connection, expiresAt, checkedOut: 0, lastReleasedAt: openedAt, isRetired: false }
}

function retryIn(connections: Connections, milliseconds: number): void {
  connections.retryTimer ??= setTimeout(() => {
    connections.retryTimer = undefined
    connections.onAvailable()
  }, milliseconds)
}

/** Gives the connection no new operations. It ends after those in progress. */
function retire(slot: Slot, pooled: PooledConnection): void {
  slot.pooled = undefined
  pooled.isRetired = true
  if (pooled.checkedOut === 0) void pooled.connection.end()
}

/** Fails everything in progress on the connection and empties its slot. */
export function discard({ slots }: Connections, pooled: PooledConnection): void {
  for (const slot of slots) if (slot.pooled === pooled) slot.pooled = undefined
  pooled.connection.discard()
}

/** Discards every connection that has been idle since `time`. */
export function discardIdleSince(connections: Connections, time: number): void {
  for (const { pooled } of connections.slots)
    if (pooled?.checkedOut === 0 && pooled.lastReleasedAt < time) discard(connections, pooled)
}

/** Returns whether the lane has a connection or is getting one. */
export function hasConnection({ slots }: Lane): boolean {
  return slots.some(({ pooled, isConnecting }) => pooled || isConnecting)
}

/** Ends every connection after its operations in progress. */
export async function endConnections(connections: Connections): Promise<void> {
  clearTimeout(connections.retryTimer)
  await Promise.all(connections.slots.map(({ pooled }) => pooled?.connection.end()))
}
