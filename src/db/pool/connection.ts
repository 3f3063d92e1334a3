import { Duplex } from 'node:stream'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'
import { dial, noResponse } from './dial.ts'
import { unsupportedResponse } from './protocol.ts'
import { checkSession, embeddedParameters, type SessionFacts, serverParameters } from './session.ts'

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
  /** Resolves once the stream is closed on both ends. */
  readonly closed: Promise<void>
  /** Waits up to five seconds for statements in progress. */
  end(): Promise<void>
  /** Fails statements in progress and closes. Asks the server to cancel them. */
  discard(): void
}

/** Milliseconds to connect, sign in and get the first result. */
const openLimit = 3000
/** Seconds that statements in progress get when a connection ends. */
const endTimeout = 5
/** Milliseconds to deliver a cancel request to a pooler. */
const cancelLimit = 1000
/** Milliseconds that the server gets to close its end. */
const closeLimit = 10_000

/**
 * Opens one connection and never reopens it (decision 0009: the driver's own pool keeps using
 * connections that are gone). Calls `count` once the stream exists. Throws what `dial` throws, and
 * `unavailable` if the server does not respond in time or is read-only.
 */
export async function openConnection(
  target: DatabaseTarget,
  isPooled: boolean,
  count: (closed: Promise<void>) => void,
): Promise<OpenConnection> {
  const limit = AbortSignal.timeout(openLimit)
  const stream = target.kind === 'server' ? await dial(target.address, limit) : await target.socket()
  const closed = Promise.withResolvers<void>()
  stream.once('close', () => closed.resolve())
  count(closed.promise)
  const unsupported = unsupportedResponse(stream)
  const client = createClient(target, stream, isPooled)
  let facts: SessionFacts | undefined
  let isDiscarded = false
  const discard = () => {
    if (isDiscarded) return
    isDiscarded = true
    const closeTimer = setTimeout(() => stream.destroy(), closeLimit)
    void closed.promise.then(() => clearTimeout(closeTimer))
    void cancelStatement().then(() => client.end({ timeout: 0 }))
  }
  // PgBouncer forgets the target of a cancel request once the client is gone.
  const cancelStatement = async () => {
    if (isPooled && target.kind === 'server' && facts && !stream.destroyed) await cancel(target.address, facts.backend)
  }
  try {
    if (target.kind === 'server')
      facts = await withinLimit(limit, () => Promise.race([checkSession(client, isPooled), unsupported]))
  } catch (error) {
    discard()
    throw error
  }
  return {
    client,
    orm: drizzle(client),
    needsTransactions: facts?.needsTransactions === true,
    closed: closed.promise,
    discard,
    end: () => client.end({ timeout: endTimeout }),
  }
}

function createClient(target: DatabaseTarget, stream: Duplex, isPooled: boolean): Client {
  let isUsed = false
  const socket = () => {
    if (isUsed) return closedStream()
    isUsed = true
    return stream
  }
  const client = postgres({
    ...(target.kind === 'server' ? login(target.address, isPooled) : embeddedLogin),
    // Only for error messages: the stream already exists.
    host: ['database'],
    port: [0],
    socket,
    ssl: false,
    max: 1,
    // The pool replaces connections and limits their time.
    connect_timeout: null,
    max_lifetime: null,
    backoff: 0,
    // Set in `dial`.
    keep_alive: null,
    prepare: !isPooled,
    // Looking up array types would cost a round trip per connection. Drizzle parses arrays itself.
    fetch_types: false,
    onnotice: () => {},
    // The driver's types know neither arrays of hosts nor `socket`.
  } as unknown as postgres.Options<Record<string, never>>)
  return target.kind === 'server' ? withPlainTransactions(client) : client
}

function login({ database, username, password, options }: DatabaseAddress, isPooled: boolean) {
  return {
    database,
    user: username,
    pass: password,
    connection: {
      application_name: 'audittrail',
      // libpq's `options`, which some providers use for routing.
      ...(options === undefined ? {} : { options }),
      ...serverParameters(isPooled),
    },
  }
}

const embeddedLogin = { database: 'postgres', user: 'postgres', connection: embeddedParameters }

/**
 * postgres.js's `begin` keeps talking to a connection that is gone. An operation has its server
 * connection to itself, so three plain statements are a transaction, and on a lost connection the
 * next one just fails. Within a transaction, `begin` joins it.
 */
function withPlainTransactions(client: Client): Client {
  type Callback = (transaction: Client) => Promise<unknown>
  let isInTransaction = false
  const begin = async (first: string | Callback, second?: Callback) => {
    const [mode, callback] = typeof first === 'string' ? [first, second] : ['isolation level read committed', first]
    if (isInTransaction) return callback?.(client)
    await client.unsafe(`BEGIN ${mode}`)
    isInTransaction = true
    try {
      const result = await callback?.(client)
      const { command } = await client.unsafe('COMMIT')
      // After a failed statement, PostgreSQL responds to COMMIT with ROLLBACK and no error.
      if (command !== 'COMMIT') throw new AppError('internal', 'The transaction was rolled back instead of committed.')
      return result
    } catch (error) {
      await client.unsafe('ROLLBACK').catch(() => {})
      throw error
    } finally {
      isInTransaction = false
    }
  }
  return Object.assign(client, { begin: begin as unknown as Client['begin'] })
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

/**
 * Sends PostgreSQL's CancelRequest on its own connection. Resolves once delivered. PgBouncer
 * forwards it.
 */
async function cancel(address: DatabaseAddress, { pid, secret }: SessionFacts['backend']): Promise<void> {
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(80877102, 4)
  request.writeUInt32BE(pid, 8)
  request.writeUInt32BE(secret, 12)
  const limit = AbortSignal.timeout(cancelLimit)
  try {
    const stream = await dial(address, limit)
    const delivered = Promise.withResolvers<void>()
    limit.addEventListener('abort', () => stream.destroy(), { once: true })
    stream.once('close', delivered.resolve).resume()
    stream.write(request)
    await delivered.promise
  } catch {
    // Best effort: the server may be unreachable.
  }
}

/** The driver's second stream. Fails only once the driver listens for errors. */
function closedStream(): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const error = Object.assign(new Error('the connection is closed'), { code: 'CONNECTION_CLOSED' })
  setImmediate(() => stream.destroy(error))
  return stream
}
