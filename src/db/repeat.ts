import { setTimeout as wait } from 'node:timers/promises'
import { lostToConcurrency } from './failure.ts'

const maxRepeats = 3
/** Milliseconds after which a failed operation of a request is not repeated. */
const requestPatience = 4000
/** Milliseconds before the first repeat, at most. Doubled for each further one. */
const pause = 20

/**
 * Runs an operation that is one statement or one transaction. Repeats it up to three times if
 * PostgreSQL has rolled it back because of a concurrent one (40001, 40P01).
 */
export async function repeated<T>(operation: () => Promise<T>, patience = requestPatience): Promise<T> {
  const startedAt = performance.now()
  for (let repeats = 0; ; repeats++) {
    try {
      return await operation()
    } catch (error) {
      if (!lostToConcurrency(error) || repeats === maxRepeats || performance.now() - startedAt > patience) throw error
      // Random, so that operations that collided do not collide again.
      await wait(Math.random() * pause * 2 ** repeats)
    }
  }
}
