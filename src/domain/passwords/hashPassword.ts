import { withoutPrefix } from '../hashes/formats.ts'
import { bunArgon2, newHashWork } from './argon2.ts'
import type { HashCost } from './hashCost.ts'
import type { HashQueue } from './hashQueue.ts'
import { normalizePassword } from './normalize.ts'
import { bcryptBytes } from './readHash.ts'
import type { RejectionWork } from './rejectionWork.ts'

interface Hashing {
  readonly hashQueue: HashQueue
  readonly rejectionWork: RejectionWork
  readonly settings: { readonly hashCost: HashCost }
}

/** Returns an argon2id hash in PHC string format. */
export function hashPassword(password: string, { memoryKib, timeCost }: HashCost): Promise<string> {
  return Bun.password.hash(normalizePassword(password), { algorithm: 'argon2id', memoryCost: memoryKib, timeCost })
}

/**
 * Hashes a password in a slot of the queue, and then frees its memory if necessary. Throws
 * `overloaded` if there is no slot in time.
 */
export function hashInSlot(
  { hashQueue, rejectionWork, settings }: Hashing,
  password: string,
  signal?: AbortSignal,
): Promise<string> {
  const made = newHashWork(settings.hashCost, bunArgon2)
  return hashQueue.run(() => hashPassword(password, settings.hashCost).finally(() => rejectionWork.free(made)), signal)
}

/**
 * Returns whether a stored hash differs from what `hashPassword` makes today, in format or in cost.
 * False for a bcrypt hash and a password that bcrypt cuts: the part that was never verified could
 * be a typing error.
 */
export function isOutdated(hash: string, password: string, { memoryKib, timeCost }: HashCost): boolean {
  const isBcrypt = withoutPrefix(hash).startsWith('$2')
  if (isBcrypt && Buffer.byteLength(normalizePassword(password)) > bcryptBytes) return false
  return !hash.startsWith(`$argon2id$v=19$m=${memoryKib},t=${timeCost},p=1$`)
}
