import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, setPriority } from 'node:os'

/** As nice(1) counts: 0 is usual, 19 yields to everybody. */
const niceness = 19

/**
 * Lets the threads in which password hashes are computed yield to the one that answers requests: a request that only reads must
 * not wait for a processor behind those who sign in. Where the system has no such thing (all but Linux), nothing happens.
 */
export async function lowerThreadPriority(): Promise<void> {
  if (process.platform !== 'linux') return
  // The threads are made when there is work for each of them.
  const tiny = { algorithm: 'argon2id', memoryCost: 8, timeCost: 1 } as const
  await Promise.all(Array.from({ length: availableParallelism() * 4 }, () => Bun.password.hash('warm', tiny)))
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      if (/pool/i.test(readFileSync(`/proc/self/task/${thread}/comm`, 'utf8'))) setPriority(Number(thread), niceness)
    } catch {
      // It has ended meanwhile, or the container forbids it: only slower.
    }
  }
}
