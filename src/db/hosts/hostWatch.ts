import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'
import { elect, explainAbsence, isAhead, mayBeAhead } from './election.ts'
import { checkHost, createHost, endProbe, type Host, type OpenProbe } from './host.ts'
import type { HostState } from './hostState.ts'

/** Finds the primary among several hosts and keeps checking them. */
export interface HostWatch<T> {
  /** Resolves with the primary. Rejects once every host was checked and none is. */
  findPrimary(): Promise<DatabaseAddress>
  /** Undefined while there is no primary. */
  current(): DatabaseAddress | undefined
  /**
   * Registers a connection to the primary. Returns false if its timeline is not the highest any
   * more, so that it must not be used.
   */
  hold(connection: T, address: DatabaseAddress, state: HostState, closed: Promise<void>): boolean
  /** The host could not be used: it is checked before it is the primary again. */
  suspect(address: DatabaseAddress): void
  /** The host responds, but has no connection left. Ends the one that checks it. */
  makeRoom(address: DatabaseAddress): void
  close(): void
}

export interface WatchSettings<T> {
  readonly addresses: readonly DatabaseAddress[]
  readonly openProbe: OpenProbe
  /** Called with the connections to a lower timeline, which must not be used any more. */
  readonly onStale: (stale: readonly T[], reason: string) => void
  /** Reads the state of the primary over a connection in use. */
  readonly readPrimary: () => Promise<HostState>
  readonly now: () => number
}

/**
 * Milliseconds between the starts of two checks of a host: without a primary, with one, and while
 * the host refuses us. `shortest`: after a check.
 */
const intervals = { searching: 150, settled: 500, refused: 1000, shortest: 50 }
/**
 * Milliseconds to respond before a connection is opened; to read the state; that the first primary
 * to be found waits for other hosts.
 */
export const limits = { response: 700, read: 1500, others: 300 }

interface Held {
  readonly host: Host
  readonly timeline: number
}

interface Waiter {
  readonly resolve: (address: DatabaseAddress) => void
  readonly reject: (failure: AppError) => void
  /** Of each host, before the wait ends without a primary. */
  readonly checks: readonly number[]
}

interface Watch<T> {
  readonly settings: WatchSettings<T>
  readonly hosts: readonly Host[]
  readonly held: Map<T, Held>
  waiters: readonly Waiter[]
  /** The highest timeline that was ever seen. */
  highest: number
  primary: Host | undefined
  /** When the first primary was found. */
  foundAt: number | undefined
  timer: ReturnType<typeof setTimeout> | undefined
  isClosed: boolean
}

export function createHostWatch<T>(settings: WatchSettings<T>): HostWatch<T> {
  const hosts = settings.addresses.map(createHost)
  const watch: Watch<T> = {
    settings,
    hosts,
    held: new Map(),
    waiters: [],
    highest: 0,
    primary: undefined,
    foundAt: undefined,
    timer: undefined,
    isClosed: false,
  }
  return {
    findPrimary: () => findPrimary(watch),
    current: () => watch.primary?.address,
    hold: (connection, address, state, closed) => {
      const host = hosts.find((each) => each.address === address)
      if (state.timeline < watch.highest || watch.isClosed || host === undefined) return false
      host.state = state
      watch.held.set(connection, { host, timeline: state.timeline })
      evaluate(watch)
      void closed.then(() => {
        // While a connection was open, the host was not checked.
        if (watch.held.delete(connection) && !isHeld(watch, host)) suspect(watch, host)
      })
      return true
    },
    suspect: (address) => {
      for (const host of hosts) if (host.address === address) suspect(watch, host)
    },
    makeRoom: (address) => {
      for (const host of hosts) if (host.address === address && !host.isChecking) endProbe(host)
    },
    close: () => {
      watch.isClosed = true
      clearTimeout(watch.timer)
      for (const { reject } of watch.waiters) reject(closed())
      for (const { timer, probe, isChecking } of hosts) {
        clearTimeout(timer)
        if (!isChecking) probe?.end()
      }
    },
  }
}

function findPrimary<T>(watch: Watch<T>): Promise<DatabaseAddress> {
  if (watch.isClosed) return Promise.reject(closed())
  if (watch.primary) return Promise.resolve(watch.primary.address)
  const { promise, resolve, reject } = Promise.withResolvers<DatabaseAddress>()
  // Until a primary was found, a slow host gets three attempts: a command would fail.
  const attempts = watch.highest === 0 ? 3 : 1
  watch.waiters = [...watch.waiters, { resolve, reject, checks: watch.hosts.map(({ checks }) => checks + attempts) }]
  for (const host of watch.hosts) if (host.failure?.code !== 'refused') void check(watch, host)
  return promise
}

const isHeld = <T>({ held }: Watch<T>, host: Host) => [...held.values()].some((each) => each.host === host)

/** Connections show the state of their host, and a server has few of them to spare. */
const isInUse = <T>(watch: Watch<T>, host: Host) => host === watch.primary && isHeld(watch, host)

async function check<T>(watch: Watch<T>, host: Host): Promise<void> {
  clearTimeout(host.timer)
  if (watch.isClosed || host.isChecking) return
  const began = watch.settings.now()
  if (isInUse(watch, host)) endProbe(host)
  else {
    await checkHost(host, watch.settings.openProbe)
    if (watch.isClosed) return void host.probe?.end()
    evaluate(watch)
    if (host.state) void compareWithPrimary(watch, host.state)
  }
  const { searching, settled, refused } = intervals
  const interval = watch.primary === undefined ? searching : settled
  // A check of a silent host has taken longer than that.
  const due = (host.failure?.code === 'refused' ? refused : interval) - (watch.settings.now() - began)
  // Another check may have begun since.
  clearTimeout(host.timer)
  host.timer = setTimeout(() => check(watch, host), Math.max(due, intervals.shortest))
}

/** Elects the primary, drops connections that are stale now, and settles those who wait. */
function evaluate<T>(watch: Watch<T>): void {
  const { hosts, waiters } = watch
  for (const { state } of hosts) watch.highest = Math.max(watch.highest, state?.timeline ?? 0)
  const { highest } = watch
  const primary = mayElect(watch) ? elect(hosts, highest, watch.primary) : undefined
  watch.primary = primary
  dropStale(watch)
  if (primary) {
    watch.waiters = []
    for (const { resolve } of waiters) resolve(primary.address)
    return
  }
  const isDone = ({ checks }: Waiter) => hosts.every((host, index) => host.checks >= (checks[index] ?? 0))
  watch.waiters = waiters.filter((waiter) => !isDone(waiter))
  for (const waiter of waiters) if (isDone(waiter)) waiter.reject(explainAbsence(hosts, highest))
}

/** At the start, a host that responds later may be on a higher timeline. */
function mayElect<T>(watch: Watch<T>): boolean {
  const { hosts, highest, settings } = watch
  if (hosts.every(({ checks }) => checks > 0)) return true
  if (!elect(hosts, highest, undefined)) return false
  watch.foundAt ??= settings.now()
  const wait = watch.foundAt + limits.others - settings.now()
  if (wait > 0) watch.timer ??= setTimeout(() => evaluate(watch), wait)
  return wait <= 0
}

/** A role without `pg_read_all_stats` sees too late that a standby is on a higher timeline. */
async function compareWithPrimary<T>(watch: Watch<T>, state: HostState): Promise<void> {
  const { primary, highest, settings } = watch
  if (primary === undefined || !isInUse(watch, primary) || !mayBeAhead(state, highest)) return
  const known = await settings.readPrimary().catch(() => undefined)
  if (known === undefined || known.isStandby || !isAhead(state, known)) return
  watch.highest = Math.max(watch.highest, known.timeline + 1)
  evaluate(watch)
}

function dropStale<T>({ hosts, held, highest, settings }: Watch<T>): void {
  const stale = [...held].filter(([, { timeline }]) => timeline < highest)
  const [first] = stale
  if (first === undefined) return
  for (const [connection] of stale) held.delete(connection)
  const [, { host, timeline }] = first
  const newer = hosts.find(({ state }) => state?.timeline === highest)?.label ?? 'A standby'
  settings.onStale(
    stale.map(([connection]) => connection),
    `${newer} is on timeline ${highest}, ${host.label} on timeline ${timeline}. Connections to the lower one were dropped.`,
  )
}

/** The host is checked when the primary is looked for, or its time has come. */
function suspect<T>(watch: Watch<T>, host: Host): void {
  host.state = undefined
  if (host === watch.primary) watch.primary = undefined
}

function closed(): AppError {
  return new AppError('unavailable', 'The database connection is closed.')
}
