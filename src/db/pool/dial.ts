import { createConnection, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as startTls, type TLSSocket } from 'node:tls'
import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'
import { setTcpKeepalive } from '../../system/tcpKeepalive.ts'
import { type Encryption, tlsOptions } from './encryption.ts'
import { otherProtocol } from './protocol.ts'

/** PostgreSQL's SSLRequest (documentation, "Message Formats"). The response is one byte. */
const tlsRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/**
 * Opens a stream to the server, with or without TLS. The driver's own dialing hangs or loops on a
 * server that closes early. Rejects with the system's error, with `refused` if an operator must
 * act, and once `signal` aborts. Calls `onResponse` at the first byte.
 */
export async function dial(
  address: DatabaseAddress,
  encryption: Encryption,
  signal: AbortSignal,
  onResponse = () => {},
): Promise<Socket | TLSSocket> {
  const tls = encryption === 'none' ? undefined : tlsOptions(address)
  const socket = address.socketDirectory
    ? createConnection(`${address.socketDirectory.replace(/^@/, '\0')}/.s.PGSQL.${address.port}`)
    : createConnection({ host: address.hostaddr ?? address.host, port: address.port })
  const timeOut = () => socket.destroy(noResponse())
  signal.addEventListener('abort', timeOut, { once: true })
  try {
    await arrival(socket, 'connect')
    if (!address.socketDirectory) keepAlive(socket, address)
    return tls ? await encrypt(socket, address, encryption, tls, onResponse) : socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', timeOut)
  }
}

/** Milliseconds without traffic before the first of ten probes, one a second. */
const keepaliveIdle = 60_000

function keepAlive(socket: Socket, { keepalive }: DatabaseAddress): void {
  if (keepalive === undefined) socket.setKeepAlive(true, keepaliveIdle)
  else if (keepalive !== 'off') setTcpKeepalive(socket, keepalive)
}

export function noResponse(): AppError {
  return new AppError(
    'unavailable',
    'The database does not respond. Check the host and port in DATABASE_URL, and that PostgreSQL listens there.',
  )
}

async function encrypt(
  socket: Socket,
  { host, sslmode }: DatabaseAddress,
  encryption: Encryption,
  tls: ConnectionOptions,
  onResponse: () => void,
): Promise<Socket | TLSSocket> {
  const received = arrival<Buffer>(socket, 'data')
  socket.write(tlsRequest)
  const response = await received
  onResponse()
  // More than one byte would be plain text injected before encryption starts (CVE-2021-23222).
  if (response.length === 1 && response[0] === 0x53) {
    const secure = startTls({ ...tls, socket, host, ...(isIP(host) ? {} : { servername: host }) })
    await arrival(secure, 'secureConnect')
    return secure
  }
  if (response.length === 1 && response[0] === 0x4e) {
    if (encryption === 'offered') return socket
    throw new AppError(
      'refused',
      `The database does not support TLS, but DATABASE_URL has sslmode=${sslmode}. Enable it on the server (ssl = on), or change sslmode.`,
    )
  }
  throw otherProtocol()
}

/** Resolves with the next such event. Rejects if the stream fails or closes first. */
async function arrival<T>(stream: Duplex, event: 'connect' | 'data' | 'secureConnect'): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const closed = () => reject(Object.assign(new Error('closed'), { code: 'CONNECTION_CLOSED' }))
  stream.once(event, resolve).once('close', closed)
  // Stays attached: an error without a listener would be thrown.
  stream.on('error', reject)
  try {
    return await promise
  } finally {
    stream.off(event, resolve).off('close', closed)
  }
}
