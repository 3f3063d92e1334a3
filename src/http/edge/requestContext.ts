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
export interface RequestContext extends Client {
  readonly requestId: string
}

/** The exchanges that are under way, by their request. Made once, in `http/server`, and handed down. */
export interface RequestContexts {
  begin(request: Request, client: Client): RequestContext
  of(request: Request): RequestContext
  /** Aborts once nobody waits for the answer any more: the client has gone away, or was told that it took too long. */
  signalOf(request: Request): AbortSignal
  /** The client was told so. */
  abort(request: Request): void
}

const wellFormedId = /^[A-Za-z0-9._-]{1,128}$/

/** The id that came in, if it is well-formed, or a fresh one. */
export function requestIdOf(request: Request): string {
  const incoming = request.headers.get('x-request-id')
  return incoming !== null && wellFormedId.test(incoming) ? incoming : randomUUID()
}

const nowhere: Client = { address: undefined, isSecure: false, isShared: false }

export function createRequestContexts(): RequestContexts {
  const current = new WeakMap<Request, RequestContext>()
  // Made for the few that ask.
  const ends = new WeakMap<Request, AbortController>()
  const begin = (request: Request, { address, isSecure, isShared }: Client) => {
    const requestContext = { requestId: requestIdOf(request), address, isSecure, isShared }
    current.set(request, requestContext)
    return requestContext
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
    abort: (request) => ends.get(request)?.abort(),
  }
}
