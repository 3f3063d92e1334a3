import { serverLabel } from '../../config/databaseLabel.ts'
import { type DatabaseAddress, listAddresses } from '../../config/databaseUrl.ts'
import { databaseFailure, located, refusesStartupParameters } from '../failure.ts'
import { createPrimaryOpener, type PrimaryOpenerSettings } from '../hosts/primaryOpener.ts'
import { createAbandonedBackends } from './abandoned.ts'
import { sendCancelRequest } from './cancelRequest.ts'
import {
  type Admit,
  admitted,
  type ConnectionObserver,
  type DatabaseTarget,
  type OpenConnection,
  openConnection,
} from './connection.ts'
import { createSpareConnection } from './spareConnection.ts'

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
  /** Whether the server granted the last connection that was asked for. */
  isGranting(): boolean
  /** Rejects with an AppError. */
  open(): Promise<OpenConnection>
  /**
   * Opens one more than the pool has, for work that takes long. Rejects with `unavailable` if there
   * is one already or no room.
   */
  openSpare(): Promise<OpenConnection>
  /** Makes the server cancel what is still in progress on discarded connections. */
  close(): Promise<void>
}

/**
 * Connections that may exist on the server beyond the size of the pool: those that it has not
 * dropped yet. One more is for `endOver`, or until then for `openSpare`.
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

/** What the pool does for the search of a primary among several hosts. */
export type HostObserver = Pick<PrimaryOpenerSettings<OpenConnection>, 'onStale' | 'readPrimary'>

interface ConnectorSettings extends HostObserver {
  readonly admit: Admit | undefined
}

export function createConnector(target: DatabaseTarget, now: () => number, settings: ConnectorSettings): Connector {
  const opener = createOpener(target, now, settings)
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
    isGranting: () => !isAway,
    isLimitTemporary: () => granted > 0 || failuresAlone < 2,
    async open() {
      isAlone = inProgress === 0
      inProgress++
      try {
        const connection = await opener.open()
        isAway = false
        failures = 0
        spareRetryAt = 0
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
    openSpare: () =>
      opener.openSpare().catch((error) => Promise.reject(located(databaseFailure(error), labelOf(target)))),
    close: opener.close,
  }
}

/** Opens connections, and counts those that exist on the server. */
interface Opener {
  open(): Promise<OpenConnection>
  openSpare(): Promise<OpenConnection>
  /** Whether one more connection may exist. */
  hasRoom(): boolean
  close(): Promise<void>
}

type OpenAt = (
  target: DatabaseTarget,
  observer: ConnectionObserver,
  options?: Parameters<typeof openConnection>[3],
) => Promise<OpenConnection>

/** A probe is not one of the pool's connections. */
const uncounted: ConnectionObserver = { count() {}, abandon: ({ drop }) => drop() }

function createOpener(
  target: DatabaseTarget,
  now: () => number,
  { admit = async () => {}, ...hostObserver }: ConnectorSettings,
): Opener {
  const size = target.kind === 'server' ? target.poolSize : 1
  let hasConnected = false
  let dialing = 0
  /** By host. Those to a former primary take no room from those to the new one. */
  const connections = new Map<DatabaseAddress | undefined, number>()
  const held = () => {
    const address = primary?.current()
    return (connections.get(address) ?? 0) + dialing + abandoned.closedCount(address)
  }
  const isFull = () => held() >= size + spareConnections.atMost
  const abandoned = createAbandonedBackends(async () => {
    if (isFull()) return spare.discard()
    const connection = await openCounted().catch(() => undefined)
    if (connection?.facts) await abandoned.endOver(connection.client, connection.facts).catch(() => {})
    await connection?.end()
  }, now)

  const openAt = createDetectingOpener(target)
  const primary = createOpenerOfPrimary(target, openAt, now, hostObserver)

  async function openCounted(): Promise<OpenConnection> {
    let isDialing = true
    dialing++
    const hasDialed = () => {
      if (isDialing) dialing--
      isDialing = false
    }
    const add = (address: DatabaseAddress | undefined, difference: number) =>
      connections.set(address, (connections.get(address) ?? 0) + difference)
    const observerOf = (address?: DatabaseAddress): ConnectionObserver => ({
      count: (closed) => {
        hasDialed()
        add(address, 1)
        void closed.then(() => add(address, -1))
      },
      abandon: abandoned.add,
    })
    try {
      const isReturning = hasConnected
      if (target.kind === 'embedded' || primary === undefined)
        return await openAt(target, observerOf(), { isReturning })
      return await primary.open((address) => openAt({ ...target, address }, observerOf(address), { isReturning }))
    } finally {
      hasDialed()
    }
  }

  async function open(): Promise<OpenConnection> {
    const connection = await openCounted()
    hasConnected = true
    if (connection.facts) {
      void abandoned.endOver(connection.client, connection.facts).catch(() => {})
      await admitted(connection, connection.facts, admit)
    }
    return connection
  }

  const spare = createSpareConnection(open, isFull)

  return {
    open,
    openSpare: spare.open,
    hasRoom: () => (primary && !primary.current()) || held() - spare.count() < size + spareConnections.inUse,
    close: async () => {
      spare.close()
      primary?.close()
      await abandoned.stop()
    },
  }
}

/** Tries again where a pooler is detected. */
function createDetectingOpener(target: DatabaseTarget): OpenAt {
  const isDeclared = target.kind === 'server' ? target.address.isPooled : false
  let isPooled = isDeclared ?? false
  return async (at, observer, options) => {
    // Attempts at several hosts detect it at the same time.
    const isTriedPooled = isPooled
    try {
      return await openConnection(at, isTriedPooled, observer, options)
    } catch (error) {
      if (isDeclared !== undefined || isTriedPooled || !refusesStartupParameters(error)) throw error
      isPooled = true
      return openConnection(at, isPooled, observer, options)
    }
  }
}

/** Returns undefined for a single host. */
function createOpenerOfPrimary(target: DatabaseTarget, openAt: OpenAt, now: () => number, observer: HostObserver) {
  if (target.kind === 'embedded' || target.address.otherHosts === undefined) return undefined
  return createPrimaryOpener<OpenConnection>({
    ...observer,
    addresses: listAddresses(target.address),
    openProbe: (address) => openAt({ ...target, address }, uncounted, { isReturning: true, isProbe: true }),
    responds: ({ sslrootcert: _, ...address }) =>
      sendCancelRequest({ address: { ...address, sslmode: 'prefer' }, encryption: 'offered' }, undefined),
    now,
  })
}

/** Returns undefined for the embedded database, which has no address. */
export function labelOf(target: DatabaseTarget): string | undefined {
  return target.kind === 'server' ? serverLabel(target.address) : undefined
}
