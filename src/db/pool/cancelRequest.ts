import type { Duplex } from 'node:stream'
import { AppError } from '../../error.ts'
import type { Server } from './client.ts'
import { dial } from './dial.ts'
import type { SessionFacts } from './session.ts'

/** Milliseconds to deliver a cancel request. */
const cancelLimit = 1000

/**
 * Sends PostgreSQL's CancelRequest on its own connection, or without a backend a request that only
 * shows whether the server responds. Returns whether it does: it closes the connection then.
 * PgBouncer forwards the request.
 */
export async function sendCancelRequest(
  { address, encryption }: Pick<Server, 'address' | 'encryption'>,
  backend: Pick<SessionFacts['backend'], 'pid' | 'secret'> | undefined,
): Promise<boolean> {
  const limit = AbortSignal.timeout(cancelLimit)
  try {
    const stream = await dial(address, backend ? encryption : 'offered', limit)
    if (!backend) stream.destroy()
    else await deliver(stream, backend, limit)
    return !limit.aborted
  } catch (error) {
    // It does respond, but not as a request for TLS would have it.
    return error instanceof AppError && error.code === 'refused'
  }
}

async function deliver(
  stream: Duplex,
  { pid, secret }: Pick<SessionFacts['backend'], 'pid' | 'secret'>,
  limit: AbortSignal,
): Promise<void> {
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(80877102, 4)
  request.writeUInt32BE(pid, 8)
  request.writeUInt32BE(secret, 12)
  const delivered = Promise.withResolvers<void>()
  limit.addEventListener('abort', () => stream.destroy(), { once: true })
  stream.once('close', delivered.resolve).resume()
  stream.write(request)
  await delivered.promise
}
