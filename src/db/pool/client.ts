import { Duplex } from 'node:stream'
import postgres from 'postgres'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'
import type { Encryption } from './encryption.ts'
import type { FirstResponse } from './protocol.ts'
import { embeddedParameters, serverParameters } from './session.ts'

type Client = postgres.Sql

/** The server of a connection, and how far the attempt to connect has got. */
export interface Server {
  readonly address: DatabaseAddress
  readonly encryption: Encryption
  readonly limit: AbortSignal
  readonly first: FirstResponse
}

/**
 * Creates a driver on an open stream, without a server for the embedded database. Calls
 * `onUnreplicated` when a commit is acknowledged whose wait for a standby was canceled.
 */
export function createClient(
  server: (Server & { readonly isPooled: boolean }) | undefined,
  stream: Duplex,
  onUnreplicated: () => void,
): Client {
  let isUsed = false
  const socket = () => {
    if (isUsed) return closedStream()
    isUsed = true
    return stream
  }
  const client = postgres({
    ...(server ? login(server) : embeddedLogin),
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
    prepare: !server?.isPooled,
    // Looking up array types would cost a round trip per connection. Drizzle parses arrays itself.
    fetch_types: false,
    // Told apart by the server's function, since its messages may be translated.
    onnotice: ({ routine }: postgres.Notice) => {
      if (routine === 'SyncRepWaitForLSN') onUnreplicated()
    },
    // The driver's types know neither arrays of hosts nor `socket`.
  } as unknown as postgres.Options<Record<string, never>>)
  return withPlainTransactions(client)
}

function login({ address, first, isPooled }: Server & { readonly isPooled: boolean }) {
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

/**
 * Returns the password as SCRAM hashes it: prepared by SASLprep (RFC 4013), like PostgreSQL does
 * when it stores one. As there, a password that SASLprep rejects is used unchanged.
 */
async function scramPassword(password: string): Promise<string> {
  // PostgreSQL does not prepare ASCII, control characters included.
  if (!/[^\0-\x7f]/.test(password)) return password
  // PostgreSQL rejects before it normalizes: the few characters newer than Unicode 3.2 that
  // normalize to older ones, such as U+2090, differ here.
  const { saslprep } = await import('@mongodb-js/saslprep')
  try {
    return saslprep(password)
  } catch {
    return password
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

/** The driver's second stream. Fails only once the driver listens for errors. */
function closedStream(): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const error = Object.assign(new Error('the connection is closed'), { code: 'CONNECTION_CLOSED' })
  setImmediate(() => stream.destroy(error))
  return stream
}
