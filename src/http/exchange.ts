import { randomUUID } from 'node:crypto'

/** What is known of a request before any route sees it. */
export interface Exchange {
  readonly requestId: string
  /** The client's address; undefined where there is no socket. */
  readonly address: string | undefined
}

/** The exchanges that are under way, by their request. Made once, in `http/server`, and handed down. */
export interface Exchanges {
  begin(request: Request, address: string | undefined): Exchange
  of(request: Request): Exchange
}

const wellFormedId = /^[A-Za-z0-9._-]{1,128}$/

/** The id that came in, if it is well-formed, or a fresh one. */
export function requestIdOf(request: Request): string {
  const incoming = request.headers.get('x-request-id')
  return incoming !== null && wellFormedId.test(incoming) ? incoming : randomUUID()
}

export function createExchanges(): Exchanges {
  const current = new WeakMap<Request, Exchange>()
  const begin = (request: Request, address: string | undefined) => {
    const exchange = { requestId: requestIdOf(request), address }
    current.set(request, exchange)
    return exchange
  }
  return { begin, of: (request) => current.get(request) ?? begin(request, undefined) }
}
