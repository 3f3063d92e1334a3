import type { Duplex } from 'node:stream'
import { AppError } from '../../error.ts'

/** The first byte of every response to a startup message: R, E, N or v. */
const firstBytes = [0x52, 0x45, 0x4e, 0x76]

/** Ends a session of the server. */
const terminate = Buffer.from([0x58, 0, 0, 0, 4])

/** Keeps the driver from ending the stream. Returns a function that ends it. */
export function holdOpen(stream: Duplex): () => void {
  const { end } = stream
  stream.end = () => stream
  return () => {
    stream.end = end
    stream.end(terminate)
  }
}

export function otherProtocol(): AppError {
  return new AppError(
    'unavailable',
    'The server at the address in DATABASE_URL is not PostgreSQL. Check the host and port.',
  )
}

/** Authentication requests that the driver ignores: Kerberos 5, GSSAPI and SSPI. */
const unsupportedAuthentication = [2, 7, 9]

/** Authentication requests that take the password as it is: in clear text, or MD5. */
const plainAuthentication = [3, 5]

/** What the server says first. */
export interface FirstResponse {
  /**
   * Rejects if the server is not PostgreSQL, or asks for a ticket: the driver would wait for more.
   */
  readonly unsupported: Promise<never>
  /** An error before it asked for any authentication. */
  isRejection: boolean
  takesPlainPassword: boolean
}

/** Call it before the driver listens; PostgreSQL never speaks first, unlike MySQL. */
export function watchFirstResponse(stream: Duplex): FirstResponse {
  const { promise: unsupported, reject } = Promise.withResolvers<never>()
  const first: FirstResponse = { unsupported, isRejection: false, takesPlainPassword: false }
  stream.once('data', (bytes: Buffer) => {
    const [type = 0] = bytes
    const request = type === 0x52 && bytes.length >= 9 ? bytes.readUInt32BE(5) : 0
    first.isRejection = type === 0x45
    first.takesPlainPassword = plainAuthentication.includes(request)
    if (!firstBytes.includes(type)) reject(otherProtocol())
    else if (unsupportedAuthentication.includes(request)) reject(new AppError('refused', authenticationText))
  })
  unsupported.catch(() => stream.destroy())
  return first
}

const authenticationText =
  'PostgreSQL asks the role in DATABASE_URL for a kind of authentication that AuditTrail does not support, such as GSSAPI. Use scram-sha-256 for it in pg_hba.conf.'
