import { serverLabel } from '../../config/databaseLabel.ts'
import { databaseFailure, located, refusesStartupParameters } from '../failure.ts'
import { createAbandonedBackends } from './abandoned.ts'
import { type Connection, type DatabaseTarget, type OpenConnection, openConnection } from './connection.ts'
import { noResponse } from './dial.ts'
import type { SessionFacts } from './session.ts'

/** Opens connections: a bounded number, at a bounded rate, and one at a time during an outage. */
export interface Connector {
  /**
   * Milliseconds until the next attempt is due. Undefined while the current one must finish first.
   * `isSpare`: the pool has a connection and works without another.
   */
  nextAttemptIn(now: number, isSpare: boolean): number | undefined
  /**
   * Whether a connection limit may have been reached only for a moment: the server still counts a
   * connection that ended, or counted simultaneous attempts and rejected them all.
   */
  isLimitTemporary(): boolean
  /** Rejects with an AppError. */
  open(): Promise<OpenConnection>
  /** Makes the server cancel what is still in progress on discarded connections. */
  close(): Promise<void>
}

/**
 * Connections that may exist on the server beyond the size of the pool: those that it has not
 * dropped yet. One more is for `endOver`.
 */
const spareConnections = { inUse: 1, atMost: 2 }
/**
 * Milliseconds between attempts: during an outage, while rejected, and at the limit of connections.
 */
const delays = { away: 250, refused: 1000, full: 250 }
/**
 * The longest, for a spare connection: after each failure the delay doubles. The server may grant
 * fewer connections than the pool has slots for.
 */
const longestSpareDelay = 5000

/**
 * Prepares a connection before the pool uses it. Rejects if it must not be used.
 */
export type Admit = (connection: Connection, facts: SessionFacts) => Promise<void>

/** Milliseconds for `Admit`. */
const admissionLimit = 5000

export function createConnector(target: DatabaseTarget, now: () => number, admit?: Admit): Connector {
  const opener = createOpener(target, now, admit)
  let inProgress = 0
  let granted = 0
  let isAlone = true
  let failuresAlone = 0
  let isAway = false
  let failures = 0
  let retryAt = 0
  let spareRetryAt = 0

  return {
    nextAttemptIn(at, isSpare) {
      if (isAway && inProgress > 0) return undefined
      if (!opener.hasRoom()) return delays.full
      return Math.max(0, (isSpare ? spareRetryAt : retryAt) - at)
    },
    isLimitTemporary: () => granted > 0 || failuresAlone < 2,
    async open() {
      isAlone = inProgress === 0
      inProgress++
      try {
        const connection = await opener.open()
        isAway = false
        failures = 0
        failuresAlone = 0
        granted++
        void connection.closed.then(() => granted--)
        return connection
      } catch (error) {
        const failure = located(databaseFailure(error), labelOf(target))
        isAway = true
        if (isAlone) failuresAlone++
        const delay = failure.code === 'refused' ? delays.refused : delays.away
        retryAt = now() + delay
        spareRetryAt = now() + Math.min(delay * 2 ** failures++, longestSpareDelay)
        throw failure
      } finally {
        inProgress--
      }
    },
    close: opener.close,
  }
}

/** Opens connections, and counts those that exist on the server. */
interface Opener {
  open(): Promise<OpenConnection>
  /** Whether one more connection may exist. */
  hasRoom(): boolean
  close(): Promise<void>
}

function createOpener(target: DatabaseTarget, now: () => number, admit: Admit = async () => {}): Opener {
  const isDeclared = target.kind === 'server' ? target.address.isPooled : false
  const size = target.kind === 'server' ? target.poolSize : 1
  let isPooled = isDeclared ?? false
  let dialing = 0
  let connections = 0
  const held = () => connections + dialing + abandoned.closedCount()
  const abandoned = createAbandonedBackends(async () => {
    if (held() >= size + spareConnections.atMost) return
    const connection = await attempt().catch(() => undefined)
    if (connection?.facts) await abandoned.endOver(connection.client, connection.facts).catch(() => {})
    await connection?.end()
  }, now)

  async function attempt(): Promise<OpenConnection> {
    let isDialing = true
    dialing++
    const hasDialed = () => {
      if (isDialing) dialing--
      isDialing = false
    }
    try {
      return await openConnection(target, isPooled, {
        count: (closed) => {
          hasDialed()
          connections++
          void closed.then(() => connections--)
        },
        abandon: abandoned.add,
      })
    } finally {
      hasDialed()
    }
  }

  async function attemptWithPoolerFallback(): Promise<OpenConnection> {
    try {
      return await attempt()
    } catch (error) {
      if (isDeclared !== undefined || isPooled || !refusesStartupParameters(error)) throw error
      isPooled = true
      return attempt()
    }
  }

  return {
    open: async () => {
      const connection = await attemptWithPoolerFallback()
      const { client, facts } = connection
      if (!facts) return connection
      void abandoned.endOver(client, facts).catch(() => {})
      const limit = Promise.withResolvers<never>()
      const timer = setTimeout(() => limit.reject(noResponse()), admissionLimit)
      try {
        await Promise.race([admit(connection, facts), limit.promise])
      } catch (error) {
        connection.discard(true)
        throw error
      } finally {
        clearTimeout(timer)
      }
      return connection
    },
    hasRoom: () => held() < size + spareConnections.inUse,
    close: abandoned.stop,
  }
}

/** Returns undefined for the embedded database, which has no address. */
export function labelOf(target: DatabaseTarget): string | undefined {
  return target.kind === 'server' ? serverLabel(target.address) : undefined
}
