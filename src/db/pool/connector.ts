import { serverLabel } from '../../config/databaseLabel.ts'
import { databaseFailure, located, refusesStartupParameters } from '../failure.ts'
import { type DatabaseTarget, type OpenConnection, openConnection } from './connection.ts'

/** Opens connections: a bounded number, at a bounded rate, and one at a time during an outage. */
export interface Connector {
  /**
   * Milliseconds until the next attempt is due. Undefined while the current one must finish first.
   */
  nextAttemptIn(now: number): number | undefined
  /** Rejects with an AppError. */
  open(): Promise<OpenConnection>
}

/** The most connections, including those that the server has not closed yet. */
const maxConnections = 10
/**
 * Milliseconds between attempts: during an outage, while rejected, and at the limit of connections.
 */
const delays = { away: 250, refused: 1000, full: 250 }

export function createConnector(target: DatabaseTarget): Connector {
  const isDeclared = target.kind === 'server' ? target.address.isPooled : false
  let isPooled = isDeclared ?? false
  let dialing = 0
  let inProgress = 0
  let connections = 0
  let isAway = false
  let retryAt = 0

  async function attempt(): Promise<OpenConnection> {
    let isDialing = true
    dialing++
    const hasDialed = () => {
      if (isDialing) dialing--
      isDialing = false
    }
    try {
      return await openConnection(target, isPooled, (closed) => {
        hasDialed()
        connections++
        void closed.then(() => connections--)
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
    nextAttemptIn(now) {
      if (isAway && inProgress > 0) return undefined
      if (connections + dialing >= maxConnections) return delays.full
      return Math.max(0, retryAt - now)
    },
    async open() {
      inProgress++
      try {
        const connection = await attemptWithPoolerFallback()
        isAway = false
        return connection
      } catch (error) {
        const failure = located(databaseFailure(error), labelOf(target))
        isAway = true
        retryAt = performance.now() + (failure.code === 'refused' ? delays.refused : delays.away)
        throw failure
      } finally {
        inProgress--
      }
    },
  }
}

/** Returns undefined for the embedded database, which has no address. */
export function labelOf(target: DatabaseTarget): string | undefined {
  return target.kind === 'server' ? serverLabel(target.address) : undefined
}
