import { availableParallelism } from 'node:os'
import type { Clock } from '../../clock.ts'
import { AppError } from '../../error.ts'
import type { HashCost } from './hashCost.ts'

/** The slots in which password hashes are computed: a fixed number, first come, first served. */
export interface HashQueue {
  /**
   * Runs `work` in a slot; `hasWaited` is true if the slot was not free at once. Throws
   * `overloaded` if the queue is full, if the wait was too long, or once `signal` aborts during it.
   * Work that has started always runs to its end.
   */
  run<T>(work: (hasWaited: boolean) => Promise<T>, signal?: AbortSignal): Promise<T>
  readonly limits: HashQueueLimits
  readonly running: number
  readonly waiting: number
}

export interface HashQueueLimits {
  /** Hashes computed at the same time. */
  readonly slots: number
  /** Hashes waiting for a slot. */
  readonly queue: number
  /** Bytes that one hash may use; undefined: no limit. */
  readonly memory?: number
}

/** Receives the times of each hash, in seconds: the wait for a slot, and the work in it. */
export interface HashQueueObserver {
  hashWaited(seconds: number): void
  hashTook(seconds: number): void
}

/** About ten seconds of work. */
const queuedPerSlot = 100
/** Milliseconds; by then the client has given up. */
const maximumWait = 12_000
/**
 * Milliseconds per hash before the first measurement, and the weight of the latest one in the
 * moving average.
 */
const initialDuration = 100
const latestWeight = 0.1

/** Bytes of the process beside its hashes, after 200 sign-ins at once: docs/operations.md. */
const processBytes = { embedded: 220 * 1024 * 1024, server: 100 * 1024 * 1024 }

/**
 * `auto` means one slot per core, because a hash keeps a core busy, and fewer if that many hashes
 * need more memory than the process leaves of its limit (`memoryLimit`, in bytes).
 */
export function hashQueueLimits(
  configured: number | 'auto',
  { memoryKib }: HashCost,
  database: keyof typeof processBytes,
  memoryLimit = process.constrainedMemory() || Number.POSITIVE_INFINITY,
  cores = availableParallelism(),
): HashQueueLimits {
  const hashBytes = memoryKib * 1024
  const available = Math.max(0, memoryLimit - processBytes[database])
  const fitting = Math.floor(available / hashBytes)
  const slots = configured === 'auto' ? Math.max(1, Math.min(cores, fitting)) : configured
  // A third-party hash may need more memory than ours, and every rejected sign-in computes one like
  // it.
  return { slots, queue: slots * queuedPerSlot, memory: Math.max(hashBytes, available / slots) }
}

/**
 * Throws `overloaded` if the client is gone: a request that failed for the client must have no
 * later effect.
 */
export function requireNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw canceled()
}

interface QueuedHash {
  /** Milliseconds, by the monotonic clock. */
  readonly queuedAt: number
  readonly start: () => void
  readonly reject: (reason: AppError) => void
}

const noObserver: HashQueueObserver = { hashWaited: () => {}, hashTook: () => {} }

export function createHashQueue(limits: HashQueueLimits, monotonicClock: Clock, observer = noObserver): HashQueue {
  const waiting: QueuedHash[] = []
  let running = 0
  let meanDuration = initialDuration

  const overloaded = () =>
    new AppError('overloaded', 'Too many concurrent sign-ins. Try again shortly.', {
      retryAfter: Math.min(30, Math.max(1, Math.ceil((waiting.length * meanDuration) / limits.slots / 1000))),
    })

  const enqueue = (signal: AbortSignal | undefined): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const cancel = () => {
      const position = waiting.indexOf(queued)
      if (position < 0) return
      waiting.splice(position, 1)
      reject(canceled())
    }
    const stopListening = () => signal?.removeEventListener('abort', cancel)
    const queued: QueuedHash = {
      queuedAt: monotonicClock(),
      start: () => {
        stopListening()
        resolve()
      },
      reject: (reason) => {
        stopListening()
        reject(reason)
      },
    }
    waiting.push(queued)
    signal?.addEventListener('abort', cancel)
    return promise
  }

  /**
   * Hands the slot to the longest waiter. It is never free in between, so that a newcomer cannot
   * take it.
   */
  const releaseSlot = () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (monotonicClock() - next.queuedAt <= maximumWait) return next.start()
      next.reject(overloaded())
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
      const hasToWait = running >= limits.slots
      const queuedAt = performance.now()
      if (hasToWait) {
        if (waiting.length >= limits.queue) throw overloaded()
        requireNotAborted(signal)
        await enqueue(signal)
      } else running++
      const startedAt = performance.now()
      observer.hashWaited((startedAt - queuedAt) / 1000)
      try {
        return await work(hasToWait)
      } finally {
        const duration = performance.now() - startedAt
        observer.hashTook(duration / 1000)
        meanDuration += latestWeight * (duration - meanDuration)
        releaseSlot()
      }
    },
  }
}

function canceled(): AppError {
  return new AppError('overloaded', 'The request was canceled before it was complete.')
}
