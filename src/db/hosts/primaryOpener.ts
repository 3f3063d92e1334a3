import type postgres from 'postgres'
import { hostLabel } from '../../config/databaseLabel.ts'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'
import { databaseFailure, reachesConnectionLimit } from '../failure.ts'
import { staleText } from './election.ts'
import type { Probe } from './host.ts'
import { type HostState, readHostState } from './hostState.ts'
import { createHostWatch, limits } from './hostWatch.ts'

/** An open connection to a host. */
export interface HostConnection {
  readonly client: postgres.Sql
  /** Resolves once the stream is closed on both ends. */
  readonly closed: Promise<void>
  end(): Promise<void>
  discard(isBusy: boolean): void
}

/** Opens connections to the primary of several hosts. */
export interface PrimaryOpener<T> {
  open(openHost: (address: DatabaseAddress) => Promise<T>): Promise<T>
  /** Undefined while there is none. */
  current(): DatabaseAddress | undefined
  close(): void
}

export interface PrimaryOpenerSettings<T> {
  readonly addresses: readonly DatabaseAddress[]
  /** Opens a connection that may be to a standby. A silent host gets one second. */
  readonly openProbe: (address: DatabaseAddress) => Promise<HostConnection>
  /** Returns whether the server responds, without occupying a connection there. */
  readonly responds: (address: DatabaseAddress) => Promise<boolean>
  /** Called with the connections to a lower timeline, which must not be used any more. */
  readonly onStale: (stale: readonly T[], reason: string) => void
  /** Reads the state of the primary over a connection in use. */
  readonly readPrimary: () => Promise<HostState>
  readonly now: () => number
}

export function createPrimaryOpener<T extends HostConnection>(settings: PrimaryOpenerSettings<T>): PrimaryOpener<T> {
  const { addresses, onStale, readPrimary, now } = settings
  const openProbe = (address: DatabaseAddress, isKnown: boolean) => createProbe(settings, address, isKnown)
  const watch = createHostWatch<T>({ addresses, openProbe, onStale, readPrimary, now })
  return {
    open: async (openHost) => {
      const address = await watch.findPrimary()
      try {
        const connection = await openHost(address)
        const state = await readState(connection)
        if (watch.hold(connection, address, state, connection.closed)) return connection
        connection.discard(false)
        throw new AppError('unavailable', staleText(hostLabel(address), state.timeline))
      } catch (error) {
        if (reachesConnectionLimit(databaseFailure(error))) watch.makeRoom(address)
        else watch.suspect(address)
        throw error
      }
    },
    current: watch.current,
    close: watch.close,
  }
}

async function createProbe<T>(
  { openProbe, responds }: PrimaryOpenerSettings<T>,
  address: DatabaseAddress,
  isKnown: boolean,
): Promise<Probe> {
  try {
    // A server that hangs would start a process for every attempt once it goes on.
    if (isKnown && !(await within(limits.response, responds(address)))) throw noResponse()
    const connection = await openProbe(address)
    return {
      read: () => readState(connection).catch((error) => Promise.reject(databaseFailure(error))),
      end: () => void connection.end(),
    }
  } catch (error) {
    throw databaseFailure(error)
  }
}

/** Discards the connection if the state does not arrive in time. */
function readState(connection: HostConnection): Promise<HostState> {
  return within(limits.read, readHostState(connection.client)).catch((error) => {
    connection.discard(false)
    throw error
  })
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(noResponse()), milliseconds)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function noResponse(): AppError {
  return new AppError('unavailable', 'The database does not respond in time.')
}
