import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import type postgres from 'postgres'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { connectionFenced } from '../failure.ts'
import type { AbandonedBackend } from './abandoned.ts'
import { createClient, type Server } from './client.ts'
import { dial, noResponse } from './dial.ts'
import { type Encryption, encryptionAttempts, mayTryNext } from './encryption.ts'
import { holdOpen, watchFirstResponse } from './protocol.ts'
import { checkSession, type SessionFacts } from './session.ts'

export type Client = postgres.Sql
export type Orm = PostgresJsDatabase

/** A PostgreSQL server, or the embedded database, which is reached through a stream. */
export type DatabaseTarget =
  | { readonly kind: 'server'; readonly address: DatabaseAddress; readonly poolSize: number }
  | { readonly kind: 'embedded'; readonly socket: () => Promise<Duplex> }

/** Both members use this one connection and never another. */
export interface Connection {
  readonly client: Client
  readonly orm: Orm
  /** Whether a statement must be in a transaction to run at read committed. */
  readonly needsTransactions?: boolean
}

export interface OpenConnection extends Connection {
  /** Undefined for the embedded database. */
  readonly facts: SessionFacts | undefined
  /** Resolves once the stream is closed on both ends. */
  readonly closed: Promise<void>
  /** Waits half a second for statements in progress, then discards. */
  end(): Promise<void>
  /** Fails statements in progress, closes, and makes the server cancel them if there may be any. */
  discard(isBusy: boolean): void
  /** Discards, because the server is not the primary any more. Later results must not be used. */
  fence(): void
  isFenced(): boolean
  /**
   * Returns whether a commit since the last call is not on the standby that it must wait for,
   * because another role canceled the wait.
   */
  takeUnreplicated(): boolean
}

/** Prepares a connection before the pool uses it. Rejects if it must not be used. */
export type Admit = (connection: Connection, facts: SessionFacts) => Promise<void>

/** Milliseconds for `Admit`. */
const admissionLimit = 5000
const openLimit = 3000
/**
 * Milliseconds to the first byte of a response. A failover must not be waited for on a connection
 * to the server that is gone. A pooler may be silent while it waits for the server.
 */
const silenceLimit = 1000
/** Milliseconds that statements in progress get when a connection ends: see `shutdownLimits`. */
const endLimit = 500

/** Receives what an attempt to connect creates. */
export interface ConnectionObserver {
  /** Called once a stream exists. */
  count(closed: Promise<void>): void
  /** Called when a connection is given up whose server process may not notice. */
  abandon(backend: AbandonedBackend): void
}

interface AttemptOptions {
  /** Whether the server has responded before: then it gets less time for its first response. */
  readonly isReturning?: boolean
  /** Whether a standby will do. */
  readonly isProbe?: boolean
}

/**
 * Opens one connection and never reopens it (decision 0009: the driver's own pool keeps using
 * connections that are gone). Throws what `dial` throws, and `unavailable` if the server does not
 * respond in time or, except for a probe, is read-only.
 */
export async function openConnection(
  target: DatabaseTarget,
  isPooled: boolean,
  observer: ConnectionObserver,
  { isReturning = false, isProbe = false }: AttemptOptions = {},
): Promise<OpenConnection> {
  if (target.kind === 'embedded') return startSession({ isPooled, observer }, await target.socket())
  const limit = createLimit(openLimit, isReturning && !isPooled ? silenceLimit : openLimit)
  const { address } = target
  const [preferred, alternative] = encryptionAttempts[address.sslmode]
  let isRejected = false
  const attempt = async (encryption: Encryption) => {
    const stream = await dial(address, encryption, limit.signal, limit.extend)
    const first = watchFirstResponse(stream)
    stream.once('data', limit.extend)
    const server = { address, encryption, limit: limit.signal, first }
    return startSession({ isPooled, observer, server, isProbe }, stream).catch((error) => {
      // Where the server supports no TLS, `offered` was without it already.
      isRejected = first.isRejection && (encryption !== 'offered' || stream instanceof TLSSocket)
      throw error
    })
  }
  try {
    return await attempt(preferred)
  } catch (error) {
    if (alternative === undefined || !isRejected || !mayTryNext(address.sslmode, codeOf(error))) throw error
    return await attempt(alternative).catch((laterError) => {
      // Without TLS on the server, the first reason says more.
      throw codeOf(laterError) === 'refused' ? error : laterError
    })
  } finally {
    limit.clear()
  }
}

/** A signal that aborts after the shorter time, or once extended after the longer one. */
function createLimit(longer: number, shorter: number) {
  const controller = new AbortController()
  const abort = () => controller.abort()
  const timer = setTimeout(abort, longer)
  const early = setTimeout(abort, shorter)
  const clear = () => {
    clearTimeout(timer)
    clearTimeout(early)
  }
  return { signal: controller.signal, extend: () => clearTimeout(early), clear }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}

interface Start {
  readonly isPooled: boolean
  readonly observer: ConnectionObserver
  /** Undefined for the embedded database. */
  readonly server?: Server | undefined
  readonly isProbe?: boolean
}

async function startSession({ isPooled, observer, server, isProbe }: Start, stream: Duplex): Promise<OpenConnection> {
  const closed = Promise.withResolvers<void>()
  stream.once('close', () => closed.resolve())
  observer.count(closed.promise)
  let isUnreplicated = false
  const client = createClient(server && { ...server, isPooled }, stream, () => {
    isUnreplicated = true
  })
  let facts: SessionFacts | undefined
  let isDiscarded = false
  let isFenced = false
  const discard = (isBusy: boolean) => {
    if (isDiscarded) return
    isDiscarded = true
    // PgBouncer forgets the target of a cancel request once the client is gone.
    const close = isPooled && isBusy && facts ? holdOpen(stream) : () => {}
    void client.end({ timeout: 0 })
    if (server) observer.abandon({ server, facts, isBusy, closed: closed.promise, close, drop: () => stream.destroy() })
  }
  try {
    if (server) {
      const { limit, first } = server
      facts = await withinLimit(limit, () => Promise.race([checkSession(client, isPooled, isProbe), first.unsupported]))
    }
  } catch (error) {
    discard(false)
    throw error
  }
  return {
    client,
    orm: drizzle(client),
    needsTransactions: facts?.needsTransactions === true,
    facts,
    closed: closed.promise,
    discard,
    fence: () => {
      isFenced = true
      discard(true)
    },
    isFenced: () => isFenced,
    end: async () => {
      const limit = Promise.withResolvers<void>()
      const timer = setTimeout(limit.resolve, endLimit)
      await Promise.race([client.end(), limit.promise.then(() => discard(true))])
      clearTimeout(timer)
    },
    takeUnreplicated: () => {
      const was = isUnreplicated
      isUnreplicated = false
      return was
    },
  }
}

/** Rejects with `unavailable` once `limit` aborts. */
async function withinLimit<T>(limit: AbortSignal, work: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timeOut = () => late.reject(noResponse())
  limit.addEventListener('abort', timeOut, { once: true })
  try {
    if (limit.aborted) throw noResponse()
    return await Promise.race([work(), late.promise])
  } finally {
    limit.removeEventListener('abort', timeOut)
  }
}

/** Discards the connection if it is not admitted in time. */
export async function admitted(connection: OpenConnection, facts: SessionFacts, admit: Admit): Promise<void> {
  const limit = createLimit(admissionLimit, admissionLimit)
  try {
    await withinLimit(limit.signal, () => admit(connection, facts))
    if (connection.isFenced()) throw connectionFenced()
  } catch (error) {
    connection.discard(true)
    throw error
  } finally {
    limit.clear()
  }
}
