import { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'
import { sendCancelRequest } from './cancelRequest.ts'
import { dial, noResponse } from './dial.ts'
import { type Encryption, encryptionAttempts, mayTryNext } from './encryption.ts'
import { type FirstResponse, watchFirstResponse } from './protocol.ts'
import { scramPassword } from './scramPassword.ts'
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
/** Milliseconds that the server gets to close its end. */
const closeLimit = 10_000

/**
 * Opens one connection and never reopens it (decision 0009: the driver's own pool keeps using
 * connections that are gone). Calls `count` once a stream exists. Throws what `dial` throws, and
 * `unavailable` if the server does not respond in time or is read-only.
 */
export async function openConnection(
  target: DatabaseTarget,
  isPooled: boolean,
  count: (closed: Promise<void>) => void,
): Promise<OpenConnection> {
  if (target.kind === 'embedded') return startSession({ isPooled, count }, await target.socket())
  const limit = AbortSignal.timeout(openLimit)
  const { address } = target
  const [preferred, alternative] = encryptionAttempts[address.sslmode]
  let isRejected = false
  const attempt = async (encryption: Encryption) => {
    const stream = await dial(address, encryption, limit)
    const first = watchFirstResponse(stream)
    const server = { address, encryption, limit, first }
    return startSession({ isPooled, count, server }, stream).catch((error) => {
      // Where the server supports no TLS, `offered` was without it already.
      isRejected = first.isRejection && (encryption !== 'offered' || stream instanceof TLSSocket)
      throw error
    })
  }
  try {
    return await attempt(preferred)
  } catch (error) {
    if (alternative === undefined || !isRejected || !mayTryNext(address.sslmode, codeOf(error))) throw error
    return attempt(alternative).catch((laterError) => {
      // Without TLS on the server, the first reason says more.
      throw codeOf(laterError) === 'refused' ? error : laterError
    })
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}

interface Start {
  readonly isPooled: boolean
  readonly count: (closed: Promise<void>) => void
  /** Undefined for the embedded database. */
  readonly server?: Server | undefined
}

interface Server {
  readonly address: DatabaseAddress
  readonly encryption: Encryption
  readonly limit: AbortSignal
  readonly first: FirstResponse
}

async function startSession({ isPooled, count, server }: Start, stream: Duplex): Promise<OpenConnection> {
  const closed = Promise.withResolvers<void>()
  stream.once('close', () => closed.resolve())
  count(closed.promise)
  const client = createClient({ isPooled, server }, stream)
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
    if (isPooled && server && facts && !stream.destroyed) await sendCancelRequest(server, facts.backend)
  }
  try {
    if (server) {
      const { limit, first } = server
      facts = await withinLimit(limit, () => Promise.race([checkSession(client, isPooled), first.unsupported]))
    }
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

function createClient({ isPooled, server }: Pick<Start, 'isPooled' | 'server'>, stream: Duplex): Client {
  let isUsed = false
  const socket = () => {
    if (isUsed) return closedStream()
    isUsed = true
    return stream
  }
  const client = postgres({
    ...(server ? login(server, isPooled) : embeddedLogin),
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
  return server ? withPlainTransactions(client) : client
}

function login({ address, first }: Server, isPooled: boolean) {
  const { database, username, password, options } = address
  return {
    database,
    user: username,
    // Without a password, the driver uses PGPASSWORD.
    pass: password && (() => (first.takesPlainPassword ? password : scramPassword(password))),
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

/** The driver's second stream. Fails only once the driver listens for errors. */
function closedStream(): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const error = Object.assign(new Error('the connection is closed'), { code: 'CONNECTION_CLOSED' })
  setImmediate(() => stream.destroy(error))
  return stream
}
