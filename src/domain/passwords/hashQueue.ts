import { availableParallelism } from 'node:os'
import type { Clock } from '../../clock.ts'
import { AppError } from '../../error.ts'
import type { HashCost } from './passwords.ts'

/** The places in which password hashes are computed: few, and first come, first served. */
export interface HashQueue {
  /**
   * Does `work` in a place of its own; `hasWaited` is true when somebody was before it. Throws `overloaded` when too many wait, and
   * for work that has waited too long. A waiting place is given up when `signal` says that nobody waits for the answer any more.
   */
  run<T>(work: (hasWaited: boolean) => Promise<T>, signal?: AbortSignal): Promise<T>
  readonly limits: HashQueueLimits
  readonly running: number
  readonly waiting: number
}

export interface HashQueueLimits {
  /** At once: as many as there are cores. */
  readonly slots: number
  /** Waiting behind them. */
  readonly queue: number
  /** Bytes that one of them may take; undefined: as many as it asks for. */
  readonly memory?: number
}

/** Sign-ins that may wait for one place: about ten seconds' worth. */
const waitingPerPlace = 100

/**
 * `auto`: a place for each core, since a hash keeps one busy; fewer where half of the memory that the process may use
 * (its container's limit) does not hold so many hashes.
 */
export function hashQueueLimits(
  places: number | 'auto',
  { memoryKib }: HashCost,
  limit = process.constrainedMemory() || Number.POSITIVE_INFINITY,
): HashQueueLimits {
  const own = memoryKib * 1024
  const fitting = Math.floor(limit / 2 / own)
  const chosen = places === 'auto' ? Math.max(1, Math.min(availableParallelism(), fitting)) : places
  // Another program's hash may be dearer than ours: anybody who knows the name of its user could end the process with it.
  return { slots: chosen, queue: chosen * waitingPerPlace, memory: Math.max(own, limit / 2 / chosen) }
}

/** Milliseconds after which nobody waits any longer for what comes out. */
const longestWait = 12_000
/** Milliseconds that a hash takes, before one was measured; and the share of the latest in the running mean. */
const firstGuess = 100
const share = 0.1

interface Waiting {
  readonly since: number
  readonly begin: () => void
  readonly refuse: (reason: AppError) => void
}

/** Told of each hash, in seconds: how long it waited for its place, and how long it had it. */
export interface HashQueueObserver {
  hashWaited(seconds: number): void
  hashTook(seconds: number): void
}

const nobody: HashQueueObserver = { hashWaited: () => {}, hashTook: () => {} }

/** Throws `overloaded` once nobody waits for the answer: what was refused, or never heard of, must not be done afterwards. */
export function requireNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw unawaited()
}

function unawaited(): AppError {
  return new AppError('overloaded', 'The request was canceled before it was complete.')
}

export function createHashQueue(limits: HashQueueLimits, clock: Clock, observer = nobody): HashQueue {
  const { slots: places, queue } = limits
  const waiting: Waiting[] = []
  let running = 0
  let usual = firstGuess

  const overloaded = () =>
    new AppError('overloaded', 'Too many concurrent sign-ins. Try again shortly.', {
      retryAfter: Math.min(30, Math.max(1, Math.ceil((waiting.length * usual) / places / 1000))),
    })

  const waitForPlace = (signal: AbortSignal | undefined): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = () => {
      const at = waiting.indexOf(own)
      if (at < 0) return
      waiting.splice(at, 1)
      reject(unawaited())
    }
    const settle = <A extends unknown[]>(then: (...values: A) => void) => {
      return (...values: A) => {
        signal?.removeEventListener('abort', leave)
        then(...values)
      }
    }
    const own: Waiting = { since: clock(), begin: settle(resolve), refuse: settle(reject) }
    waiting.push(own)
    signal?.addEventListener('abort', leave)
    return promise
  }

  /** The place goes on to who waits longest, and is never free in between: nobody who comes later is served before. */
  const passOn = () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (clock() - next.since <= longestWait) return next.begin()
      next.refuse(overloaded())
    }
    running--
  }

  return {
    limits,
    get running() {
      return running
    },
    get waiting() {
      return waiting.length
    },
    run: async (work, signal) => {
      const hasToWait = running >= places
      const asked = performance.now()
      if (hasToWait) {
        if (waiting.length >= queue) throw overloaded()
        requireNotAborted(signal)
        await waitForPlace(signal)
      } else running++
      const began = performance.now()
      observer.hashWaited((began - asked) / 1000)
      try {
        return await work(hasToWait)
      } finally {
        const took = performance.now() - began
        observer.hashTook(took / 1000)
        usual += share * (took - usual)
        passOn()
      }
    },
  }
}
