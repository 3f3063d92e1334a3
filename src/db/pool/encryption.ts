import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { DatabaseAddress, SslMode } from '../../config/databaseUrl.ts'
import { AppError } from '../../error.ts'

/** `offered`: TLS unless the server does not support it. */
export type Encryption = 'none' | 'offered' | 'required'

/** What to try, and what to try next if the server rejects that before it authenticates us. */
export const encryptionAttempts: Readonly<Record<SslMode, readonly [Encryption, Encryption?]>> = {
  disable: ['none'],
  allow: ['none', 'required'],
  prefer: ['offered', 'none'],
  require: ['required'],
  'verify-ca': ['required'],
  'verify-full': ['required'],
}

/** The server is short of resources, starting or stopping: TLS would not change that. */
const unrelated = /^5[37]/

/**
 * Returns whether the other attempt may succeed where the server rejected one with this code. As in
 * libpq, `allow` tries after any reason; `prefer` gives up TLS only if pg_hba.conf has no line for
 * it (28000).
 */
export function mayTryNext(sslmode: SslMode, code: unknown): boolean {
  return sslmode === 'allow' ? !unrelated.test(String(code)) : code === '28000'
}

/** As in libpq, the chain is verified in every mode with a root certificate. */
export function tlsOptions({ sslmode, sslrootcert }: DatabaseAddress): ConnectionOptions {
  const ca = sslrootcert === undefined ? {} : { ca: readRootCertificate(sslrootcert) }
  if (sslmode === 'verify-full') return { rejectUnauthorized: true, ...ca }
  if (sslmode === 'verify-ca' || sslrootcert !== undefined)
    return { rejectUnauthorized: true, checkServerIdentity: () => undefined, ...ca }
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
      'The sslrootcert file in DATABASE_URL cannot be read or is not a PEM certificate. Correct the path, its permissions or its contents.',
    )
  }
}
