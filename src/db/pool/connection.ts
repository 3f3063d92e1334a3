import { Duplex } from 'node:stream'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'
import { dial, noAnswer } from './dial.ts'

export type Client = postgres.Sql
export type Orm = PostgresJsDatabase

/** Where the database is: a server somewhere, or the one in this process, reached through a stream of its own. */
export type DatabaseTarget =
  | { readonly kind: 'server'; readonly address: DatabaseAddress; readonly poolSize: number }
  | { readonly kind: 'embedded'; readonly socket: () => Promise<Duplex> }

/** What statements are made on. Both speak over the one connection that is there, and never over another. */
export interface Connection {
  readonly client: Client
  readonly orm: Orm
}

export interface OpenConnection extends Connection {
  /** Resolves once the stream is closed at both ends, whoever closed it. */
  readonly closed: Promise<void>
  /** Lets what is under way finish, for five seconds. */
  end(): Promise<void>
  /** Fails what is under way and closes. What the server still works on, it is told to leave. */
  abandon(): void
}

/** Milliseconds to reach the server, to be let in and to be answered once. */
const openingLimit = 3000
/** Seconds that running statements get when a connection is ended. */
const endTimeout = 5
/** Milliseconds to tell a pooler that a statement is abandoned. */
const cancelling = 1000
/** Milliseconds that the other end gets to close, until we no longer wait for it. */
const lingering = 10_000

/**
 * What a server keeps to by itself, in milliseconds: an abandoned statement must not go on holding locks. A little below
 * the limit of an operation (`pool.ts`), so that a statement fails and its connection stays. Migrations set them aside.
 */
const timeLimits = {
  lock_timeout: '2000',
  statement_timeout: '3000',
  idle_in_transaction_session_timeout: '10000',
}

/**
 * Opens one connection. It is never made anew: when it ends, so does everything that was made on it. The driver's own pool
 * would go on with connections that are gone, where nothing catches what it throws (porsager/postgres#1208), run the rest of
 * a transaction on their successors (#1215), and connect again without a pause or an end (#1214).
 * `count` is told of the stream once it is there. Throws what `dial` throws, and `unavailable` when nothing answers in
 * time, or a server that lets nobody write.
 */
export async function openConnection(
  target: DatabaseTarget,
  isPooled: boolean,
  count: (closed: Promise<void>) => void,
): Promise<OpenConnection> {
  const limit = AbortSignal.timeout(openingLimit)
  const stream = target.kind === 'server' ? await dial(target.address, limit) : await target.socket()
  const closed = Promise.withResolvers<void>()
  stream.once('close', () => closed.resolve())
  count(closed.promise)
  const client = createClient(target, stream, isPooled)
  const connection = { client, orm: drizzle(client), closed: closed.promise }
  let backend: Backend | undefined
  let isAbandoned = false
  const abandon = () => {
    if (isAbandoned) return
    isAbandoned = true
    const patience = setTimeout(() => stream.destroy(), lingering)
    void closed.promise.then(() => clearTimeout(patience))
    void leaveStatement().then(() => client.end({ timeout: 0 }))
  }
  // A pooler forgets whom a cancellation is for as soon as that one has gone.
  const leaveStatement = async () => {
    if (isPooled && target.kind === 'server' && backend && !stream.destroyed) await cancel(target.address, backend)
  }
  try {
    if (target.kind === 'server') backend = await greet(client, limit)
  } catch (error) {
    abandon()
    throw error
  }
  return { ...connection, abandon, end: () => client.end({ timeout: endTimeout }) }
}

function createClient(target: DatabaseTarget, stream: Duplex, isPooled: boolean): Client {
  let isGiven = false
  const socket = () => {
    if (isGiven) return closedStream()
    isGiven = true
    return stream
  }
  const client = postgres({
    ...(target.kind === 'server' ? login(target.address, isPooled) : { database: 'postgres', user: 'postgres' }),
    // Only for its messages: the stream is there.
    host: ['database'],
    port: [0],
    socket,
    ssl: false,
    max: 1,
    // The pool replaces connections, and counts their time.
    connect_timeout: null,
    max_lifetime: null,
    backoff: 0,
    prepare: !isPooled,
    // Its query for array types would cost a round trip on each connection; Drizzle reads arrays by itself.
    fetch_types: false,
    onnotice: () => {},
    // Its types know neither hosts as arrays nor `socket`.
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
      // libpq's `options`, which some providers use to route a connection.
      ...(options === undefined ? {} : { options }),
      // PgBouncer refuses what it does not know, and hands the session to others.
      ...(isPooled ? {} : timeLimits),
    },
  }
}

/**
 * postgres.js's `begin` keeps talking to a connection that is gone. Whoever holds one of a server's connections has it
 * alone, so that three plain statements are a transaction; on a connection that is gone the next one fails, and no more.
 */
function withPlainTransactions(client: Client): Client {
  type Story = (transaction: Client) => Promise<unknown>
  const begin = async (first: string | Story, second?: Story) => {
    const [mode, story] = typeof first === 'string' ? [first, second] : ['', first]
    await client.unsafe(`BEGIN ${mode}`)
    try {
      const outcome = await story?.(client)
      const { command } = await client.unsafe('COMMIT')
      // After a statement that failed, PostgreSQL answers COMMIT with a friendly ROLLBACK.
      if (command !== 'COMMIT') throw new AppError('internal', 'A transaction was rolled back in place of its end.')
      return outcome
    } catch (error) {
      await client.unsafe('ROLLBACK').catch(() => {})
      throw error
    }
  }
  return Object.assign(client, { begin: begin as unknown as Client['begin'] })
}

interface Backend {
  readonly pid: number
  readonly secret: number
}

/**
 * The first question: it makes the driver sign in, tells whether the server takes changes (the other half of a failover does
 * not, and what it knows of sessions is old), and brings what it takes to cancel a statement.
 */
async function greet(client: Client, limit: AbortSignal): Promise<Backend> {
  const late = Promise.withResolvers<never>()
  const giveUp = () => late.reject(noAnswer())
  limit.addEventListener('abort', giveUp, { once: true })
  try {
    if (limit.aborted) throw noAnswer()
    const greeting = client`SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS is_read_only`
    const rows = await Promise.race([greeting, late.promise])
    if (rows[0]?.is_read_only) {
      throw new AppError('unavailable', 'The database takes no changes: it is a standby, or set to read only (25006).')
    }
    return rows.state as unknown as Backend
  } finally {
    limit.removeEventListener('abort', giveUp)
  }
}

/** PostgreSQL's CancelRequest, on a connection of its own; resolves once it is delivered. PgBouncer hands it on. */
async function cancel(address: DatabaseAddress, { pid, secret }: Backend): Promise<void> {
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(80877102, 4)
  request.writeUInt32BE(pid, 8)
  request.writeUInt32BE(secret, 12)
  const limit = AbortSignal.timeout(cancelling)
  try {
    const stream = await dial(address, limit)
    const delivered = Promise.withResolvers<void>()
    limit.addEventListener('abort', () => stream.destroy(), { once: true })
    stream.once('close', delivered.resolve).resume()
    stream.write(request)
    await delivered.promise
  } catch {
    // Who cannot be reached cannot be told.
  }
}

/** What the driver gets when it asks for a second stream. It listens only after it has been given one. */
function closedStream(): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const error = Object.assign(new Error('the connection is closed'), { code: 'CONNECTION_CLOSED' })
  setImmediate(() => stream.destroy(error))
  return stream
}
