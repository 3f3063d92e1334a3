export interface Deadline {
  /**
   * Returns the response, or `onTimeout()` if the response is late. The promise must not reject.
   */
  race(response: Promise<Response>, request: Request, onTimeout: () => Response): Promise<Response>
  /** Times out the pending requests that match, at once. */
  expire(matches: (request: Request) => boolean): void
}

interface Pending {
  readonly since: number
  readonly request: Request
  readonly expire: () => void
}

/**
 * Limits the time to a response to `milliseconds`, and up to a tenth more: one timer checks all
 * pending requests, because a timer for each costs more than many a request. Late responses are
 * dropped.
 */
export function createDeadline(milliseconds: number): Deadline {
  // Oldest first.
  const pending = new Set<Pending>()
  let timer: Timer | undefined

  const expireOverdue = () => {
    const now = performance.now()
    for (const entry of pending) {
      if (now - entry.since < milliseconds) return
      pending.delete(entry)
      entry.expire()
    }
    clearInterval(timer)
    timer = undefined
  }

  return {
    race(response, request, onTimeout) {
      const { promise, resolve } = Promise.withResolvers<Response>()
      const entry = { since: performance.now(), request, expire: () => resolve(onTimeout()) }
      pending.add(entry)
      timer ??= setInterval(expireOverdue, milliseconds / 10).unref()
      response.then((result) => {
        pending.delete(entry)
        resolve(result)
      })
      return promise
    },
    expire(matches) {
      for (const entry of pending) {
        if (!matches(entry.request)) continue
        pending.delete(entry)
        entry.expire()
      }
    },
  }
}
