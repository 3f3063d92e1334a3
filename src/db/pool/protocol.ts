import type { Duplex } from 'node:stream'
import { AppError } from '../../error.ts'

/** The first byte of every response to a startup message: R, E, N or v. */
const firstBytes = [0x52, 0x45, 0x4e, 0x76]

export function otherProtocol(): AppError {
  return new AppError(
    'unavailable',
    'The server at the address in DATABASE_URL is not PostgreSQL. Check the host and port.',
  )
}

/** Authentication requests that the driver ignores: Kerberos 5, GSSAPI and SSPI. */
const unsupportedAuthentication = [2, 7, 9]

/**
 * Rejects if the first response shows that the server is not PostgreSQL (but a web server or MySQL)
 * or asks for a ticket: the driver would wait for more. Call it before the driver listens;
 * PostgreSQL never speaks first.
 */
export function unsupportedResponse(stream: Duplex): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  stream.once('data', (bytes: Buffer) => {
    if (!firstBytes.includes(bytes[0] ?? 0)) reject(otherProtocol())
    else if (bytes[0] === 0x52 && bytes.length >= 9 && unsupportedAuthentication.includes(bytes.readUInt32BE(5)))
      reject(new AppError('refused', authenticationText))
  })
  promise.catch(() => stream.destroy())
  return promise
}

const authenticationText =
  'PostgreSQL asks the role in DATABASE_URL for a kind of authentication that AuditTrail does not support, such as GSSAPI. Use scram-sha-256 for it in pg_hba.conf.'
