import { randomUUID } from 'node:crypto'

/** Who calls, and by what way. */
export interface Client {
  /** The client's address; undefined where there is no socket. */
  readonly address: string | undefined
  /** The client's own connection is https: a trusted proxy says so. Cookies for it are `Secure`. */
  readonly isSecure: boolean
  /** The address is that of a proxy which is not declared: all of its clients share it. */
  readonly isShared: boolean
}

/** What is known of a request before any route sees it. */
export interface Exchange extends Client {
  readonly requestId: string
}

/** The exchanges that are under way, by their request. Made once, in `http/server`, and handed down. */
export interface Exchanges {
  begin(request: Request, client: Client): Exchange
  of(request: Request): Exchange
  /** Aborts once nobody waits for the answer any more: the client has gone away, or was told that it took too long. */
  signalOf(request: Request): AbortSignal
  /** The client was told so. */
  giveUp(request: Request): void
}

const wellFormedId = /^[A-Za-z0-9._-]{1,128}$/

/** The id that came in, if it is well-formed, or a fresh one. */
export function requestIdOf(request: Request): string {
  const incoming = request.headers.get('x-request-id')
  return incoming !== null && wellFormedId.test(incoming) ? incoming : randomUUID()
}

const nowhere: Client = { address: undefined, isSecure: false, isShared: false }

export function createExchanges(): Exchanges {
  const current = new WeakMap<Request, Exchange>()
  // Made for the few that ask.
  const ends = new WeakMap<Request, AbortController>()
  const begin = (request: Request, { address, isSecure, isShared }: Client) => {
    const exchange = { requestId: requestIdOf(request), address, isSecure, isShared }
    current.set(request, exchange)
    return exchange
  }
  const signalOf = (request: Request): AbortSignal => {
    const end = new AbortController()
    ends.set(request, end)
    if (request.signal.aborted) end.abort()
    else request.signal.addEventListener('abort', () => end.abort(), { once: true })
    return end.signal
  }
  return {
    begin,
    of: (request) => current.get(request) ?? begin(request, nowhere),
    signalOf,
    giveUp: (request) => ends.get(request)?.abort(),
  }
}
