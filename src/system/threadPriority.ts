import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, setPriority } from 'node:os'

/** A nice value: 0 is the default, 19 yields to every other thread. */
const niceness = 19

/**
 * Lowers the priority of the threads that hash passwords, so that requests that only read do not
 * wait for a CPU behind sign-ins. Does nothing outside Linux, or without /proc.
 */
export async function lowerThreadPriority(): Promise<void> {
  if (process.platform !== 'linux' || !existsSync('/proc/self/task')) return
  // Threads are created when there is work for each of them.
  const tiny = { algorithm: 'argon2id', memoryCost: 8, timeCost: 1 } as const
  await Promise.all(Array.from({ length: availableParallelism() * 4 }, () => Bun.password.hash('warm', tiny)))
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      if (/pool/i.test(readFileSync(`/proc/self/task/${thread}/comm`, 'utf8'))) setPriority(Number(thread), niceness)
    } catch {
      // The thread has ended, or the container forbids it. Hashing then keeps its priority.
    }
  }
}
