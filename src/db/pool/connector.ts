import { databaseFailure, refusesStartupParameters } from '../failure.ts'
import { type DatabaseTarget, type OpenConnection, openConnection } from './connection.ts'

/** Makes connections: not too many, not too often, and one at a time while the database is away. */
export interface Connector {
  /** Milliseconds until another attempt is due; undefined: not before the one under way has ended. */
  due(now: number): number | undefined
  /** Rejects with an AppError. */
  open(): Promise<OpenConnection>
}

/** Connections there may be, with those that the other end has not closed yet. */
const mostConnections = 10
/** Milliseconds between two attempts while the database is away, while it turns us away, and until one of ten is closed. */
const pauses = { away: 250, refused: 1000, full: 250 }

export function createConnector(target: DatabaseTarget): Connector {
  const isDeclared = target.kind === 'server' ? target.address.isPooled : false
  let isPooled = isDeclared ?? false
  let dialing = 0
  let underWay = 0
  let connections = 0
  let isAway = false
  let notBefore = 0

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

  async function attemptAsPoolersWant(): Promise<OpenConnection> {
    try {
      return await attempt()
    } catch (error) {
      if (isDeclared !== undefined || isPooled || !refusesStartupParameters(error)) throw error
      isPooled = true
      return attempt()
    }
  }

  return {
    due(now) {
      if (isAway && underWay > 0) return undefined
      if (connections + dialing >= mostConnections) return pauses.full
      return Math.max(0, notBefore - now)
    },
    async open() {
      underWay++
      try {
        const connection = await attemptAsPoolersWant()
        isAway = false
        return connection
      } catch (error) {
        const failure = databaseFailure(error)
        isAway = true
        notBefore = performance.now() + (failure.code === 'refused' ? pauses.refused : pauses.away)
        throw failure
      } finally {
        underWay--
      }
    },
  }
}
