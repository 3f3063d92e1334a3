import { createPendingList, type Links } from './pending.ts'

/** What becomes of each request, which `Exchange` stands for. None of these may throw. */
export interface Outcomes<Exchange> {
  /** Returns what the client gets for a response that is in time. */
  finish(exchange: Exchange, response: Response): Response
  /** Returns the response to a request whose handler has failed. */
  fail(exchange: Exchange, error: unknown): Response
  /** Returns the response to a request that is late. */
  timeOut(exchange: Exchange): Response
}

export interface Deadline<Exchange> {
  /** Resolves to one of the outcomes. */
  race(response: Promise<Response>, exchange: Exchange): Promise<Response>
  /** Times out the pending requests that match, at once. */
  expire(matches: (exchange: Exchange) => boolean): void
}

interface Pending<Exchange> extends Links<Pending<Exchange>> {
  readonly since: number
  readonly exchange: Exchange
  readonly resolve: (response: Response) => void
}

/**
 * Limits the time to a response to `milliseconds`, and up to a tenth more: one timer checks all
 * pending requests, because a timer for each costs more than many a request. Late responses are
 * dropped.
 */
export function createDeadline<Exchange>(milliseconds: number, outcomes: Outcomes<Exchange>): Deadline<Exchange> {
  const { finish, fail, timeOut } = outcomes
  const pending = createPendingList<Pending<Exchange>>()
  let timer: Timer | undefined

  const expireOverdue = () => {
    const now = performance.now()
    for (const entry of pending.entries()) {
      if (now - entry.since < milliseconds) return
      expireOne(entry)
    }
    clearInterval(timer)
    timer = undefined
  }

  const expireOne = (entry: Pending<Exchange>) => {
    if (pending.remove(entry)) entry.resolve(finish(entry.exchange, timeOut(entry.exchange)))
  }

  return {
    race(response, exchange) {
      const { promise, resolve } = Promise.withResolvers<Response>()
      const entry: Pending<Exchange> = {
        since: performance.now(),
        exchange,
        resolve,
        previous: undefined,
        next: undefined,
        isPending: false,
      }
      pending.add(entry)
      timer ??= setInterval(expireOverdue, milliseconds / 10).unref()
      response.then(
        (result) => pending.remove(entry) && resolve(finish(exchange, result)),
        (error) => pending.remove(entry) && resolve(finish(exchange, fail(exchange, error))),
      )
      return promise
    },
    expire(matches) {
      for (const entry of pending.entries()) if (matches(entry.exchange)) expireOne(entry)
    },
  }
}
