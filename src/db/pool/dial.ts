import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createConnection, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as startTls } from 'node:tls'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'

/** PostgreSQL's message SSLRequest (documentation, "Message Formats"): eight bytes, answered by one. */
const tlsRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/**
 * A stream to the server, encrypted as `sslmode` asks, on which the protocol has not begun. The driver gets it ready: by itself
 * it would wait for ever for a server that closes before it has answered, and ask it again without a pause.
 * Rejects with the system's error, with `refused` where a person must act, and once `signal` says that it takes too long.
 */
export async function dial(address: DatabaseAddress, signal: AbortSignal): Promise<Duplex> {
  const tls = tlsOptions(address)
  const socket = address.socketDirectory
    ? createConnection(`${address.socketDirectory}/.s.PGSQL.${address.port}`)
    : createConnection({ host: address.host, port: address.port })
  const giveUp = () => socket.destroy(noAnswer())
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await arrival(socket, 'connect')
    return tls ? await encrypt(socket, address, tls) : socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

export function noAnswer(): AppError {
  return new AppError('unavailable', 'The database does not answer.')
}

async function encrypt(socket: Socket, { host, sslmode }: DatabaseAddress, tls: ConnectionOptions): Promise<Duplex> {
  const answered = arrival<Buffer>(socket, 'data')
  socket.write(tlsRequest)
  const answer = await answered
  // More than the one byte would be text that somebody on the way has put in front of the encrypted one (CVE-2021-23222).
  if (answer.length === 1 && answer[0] === 0x53) {
    const secure = startTls({ ...tls, socket, host, ...(isIP(host) ? {} : { servername: host }) })
    await arrival(secure, 'secureConnect')
    return secure
  }
  if (answer.length === 1 && answer[0] === 0x4e) {
    if (sslmode === 'prefer' || sslmode === 'allow') return socket
    throw new AppError(
      'refused',
      `The database offers no TLS, and DATABASE_URL has sslmode=${sslmode}: switch it on at the server (ssl = on), or change sslmode.`,
    )
  }
  throw new AppError('unavailable', 'What answers in place of the database is no PostgreSQL.')
}

/** The next event of that name; rejects when the stream fails or closes before. */
async function arrival<T>(stream: Duplex, event: 'connect' | 'data' | 'secureConnect'): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const closed = () => reject(Object.assign(new Error('closed'), { code: 'CONNECTION_CLOSED' }))
  stream.once(event, resolve).once('close', closed)
  // It stays: an error that nobody listens for would be thrown.
  stream.on('error', reject)
  try {
    return await promise
  } finally {
    stream.off(event, resolve).off('close', closed)
  }
}

/** libpq's meanings: `require` with a root certificate verifies the chain. Undefined: no TLS. */
function tlsOptions({ sslmode, sslrootcert }: DatabaseAddress): ConnectionOptions | undefined {
  if (sslmode === 'disable') return undefined
  const ca = sslrootcert === undefined ? {} : { ca: readRootCertificate(sslrootcert) }
  if (sslmode === 'verify-full') return { rejectUnauthorized: true, ...ca }
  if (sslmode === 'verify-ca' || (sslmode === 'require' && sslrootcert !== undefined)) {
    return { rejectUnauthorized: true, checkServerIdentity: () => undefined, ...ca }
  }
  return { rejectUnauthorized: false }
}

function readRootCertificate(path: string): string {
  try {
    const pem = readFileSync(path, 'utf8')
    new X509Certificate(pem)
    return pem
  } catch {
    throw new AppError(
      'refused',
      'The file that sslrootcert in DATABASE_URL names cannot be read, or holds no certificate in PEM: correct the path, its permissions or its contents.',
    )
  }
}
