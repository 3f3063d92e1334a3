import type { DatabaseAddress } from '../../config/databaseUrl.ts'
import { dial } from './dial.ts'
import type { Encryption } from './encryption.ts'
import type { SessionFacts } from './session.ts'

/** Milliseconds to deliver a cancel request to a pooler. */
const cancelLimit = 1000

interface Server {
  readonly address: DatabaseAddress
  readonly encryption: Encryption
}

/**
 * Sends PostgreSQL's CancelRequest on its own connection. Resolves once delivered. PgBouncer
 * forwards it.
 */
export async function sendCancelRequest(
  { address, encryption }: Server,
  { pid, secret }: SessionFacts['backend'],
): Promise<void> {
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(80877102, 4)
  request.writeUInt32BE(pid, 8)
  request.writeUInt32BE(secret, 12)
  const limit = AbortSignal.timeout(cancelLimit)
  try {
    const stream = await dial(address, encryption, limit)
    const delivered = Promise.withResolvers<void>()
    limit.addEventListener('abort', () => stream.destroy(), { once: true })
    stream.once('close', delivered.resolve).resume()
    stream.write(request)
    await delivered.promise
  } catch {
    // Best effort: the server may be unreachable.
  }
}
