import type postgres from 'postgres'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { sendCancelRequest } from './cancelRequest.ts'
import type { Server } from './client.ts'
import type { SessionFacts } from './session.ts'

/** The server's end of a connection that was given up. */
export interface AbandonedBackend {
  readonly server: Server
  /** Undefined if it was given up before it signed in. */
  readonly facts: SessionFacts | undefined
  /** Whether a statement may be in progress. */
  readonly isBusy: boolean
  /** Resolves once the stream is closed on both ends. */
  readonly closed: Promise<void>
  /** Closes our end, if it was kept open for the cancel request. */
  close(): void
  /** Closes both ends: the server has dropped it, or is another one by now. */
  drop(): void
}

/**
 * Ends the backends of connections that were given up. PostgreSQL does not notice a closed socket
 * while a commit waits for a standby or a statement for a lock.
 */
export interface AbandonedBackends {
  add(backend: AbandonedBackend): void
  /** Backends, of one host if given, that may still exist although their streams are closed. */
  closedCount(address?: DatabaseAddress): number
  /**
   * Ends the backends that still exist, over a connection to a server, and forgets those that do
   * not.
   */
  endOver(client: postgres.Sql, facts: SessionFacts): Promise<void>
  /** Delivers the cancel requests that are due, and gives up on the others. */
  stop(): Promise<void>
}

interface Entry extends AbandonedBackend {
  readonly since: number
  isClosed: boolean
  /** When the server last took a cancel request. Undefined: not yet. */
  canceledAt: number | undefined
}

/**
 * Milliseconds between two cancel requests for one backend, which may have more statements in its
 * buffer; between two attempts to reach the server; that `stop` waits.
 */
const delays = { repeat: 1000, retry: 500, stop: 300 }
/** Milliseconds between two checks of the server. Doubled after each. */
const checkDelays = { first: 1000, longest: 30_000 }

/**
 * `check` opens a connection for `endOver` alone, if one more may exist. Called when the server
 * responds and a backend has not ended for a second.
 */
export function createAbandonedBackends(check: () => Promise<void>, now: () => number): AbandonedBackends {
  const entries = new Set<Entry>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let round: Promise<void> | undefined
  let isStopped = false
  let checkDelay = checkDelays.first
  let checkAt = Number.NEGATIVE_INFINITY

  function forget(entry: Entry): void {
    entries.delete(entry)
    entry.drop()
    if (entries.size > 0) return
    clearTimeout(timer)
    checkDelay = checkDelays.first
  }

  /** One at a time: at a server that does not respond, requests would pile up. */
  async function cancelDue(): Promise<void> {
    for (const entry of entries) {
      if (entry.canceledAt !== undefined && now() - entry.canceledAt < delays.repeat) continue
      const isDelivered = await sendCancelRequest(entry.server, entry.facts?.backend)
      if (!isDelivered) return schedule(delays.retry)
      entry.close()
      entry.canceledAt = now()
      if (entry.isClosed) forget(entry)
    }
    const isStubborn = [...entries].some(({ since }) => now() - since >= delays.repeat)
    if (isStubborn && now() >= checkAt && !isStopped) {
      checkAt = now() + checkDelay
      checkDelay = Math.min(checkDelay * 2, checkDelays.longest)
      await check()
    }
    if (entries.size > 0) schedule(delays.repeat)
  }

  function schedule(delay: number): void {
    clearTimeout(timer)
    if (!isStopped) timer = setTimeout(start, delay)
  }

  function start(): void {
    round ??= cancelDue().finally(() => {
      round = undefined
    })
  }

  return {
    add(backend) {
      const { isBusy, closed } = backend
      const entry: Entry = { ...backend, since: now(), isClosed: false, canceledAt: isBusy ? undefined : now() }
      entries.add(entry)
      void closed.then(() => {
        entry.isClosed = true
        if (entry.canceledAt !== undefined) forget(entry)
      })
      if (isBusy) start()
      else if (entries.size === 1) schedule(delays.repeat)
    },
    closedCount: (address) => countClosed(entries, address),
    endOver: async (client, { instance }) => {
      for (const entry of entries) {
        const { facts, canceledAt } = entry
        if (facts ? facts.instance !== instance || (!facts.isDirect && canceledAt) : canceledAt) forget(entry)
      }
      const known = [...entries].flatMap((entry) => (entry.facts?.isDirect ? { entry, ...entry.facts.backend } : []))
      if (known.length === 0) return
      const existing = await endBackends(client, known)
      for (const { entry, pid } of known) if (!existing.has(pid)) forget(entry)
    },
    stop: async () => {
      isStopped = true
      clearTimeout(timer)
      const limit = Promise.withResolvers<void>()
      const limitTimer = setTimeout(limit.resolve, delays.stop)
      await Promise.race([(round ?? Promise.resolve()).then(cancelDue), limit.promise])
      clearTimeout(limitTimer)
      for (const entry of entries) forget(entry)
    },
  }
}

function countClosed(entries: ReadonlySet<Entry>, address: DatabaseAddress | undefined): number {
  const isCounted = ({ isClosed, server }: Entry) => isClosed && (address ?? server.address) === server.address
  return [...entries].filter(isCounted).length
}

/** Ends those of the backends that still exist. Returns their process ids. */
async function endBackends(client: postgres.Sql, backends: readonly SessionFacts['backend'][]): Promise<Set<number>> {
  // A role may end its own backends. The start tells a backend from a later one with its id.
  const rows = await client<{ pid: number }[]>`
    SELECT pid, pg_terminate_backend(pid) FROM pg_stat_get_activity(NULL)
    WHERE pid || ' ' || to_char(backend_start, 'YYYYMMDDHH24MISSUS')
      = ANY (string_to_array(${backends.map(({ pid, startedAt }) => `${pid} ${startedAt}`).join(',')}, ','))`
  return new Set(rows.map(({ pid }) => pid))
}
