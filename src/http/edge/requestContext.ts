import { randomUUID } from 'node:crypto'

/** The client of a request. */
export interface Client {
  /** Undefined if there is no socket. */
  readonly address: string | undefined
  /** A trusted proxy reports https. Cookies are then `Secure`. */
  readonly isSecure: boolean
  /** The address is an undeclared proxy's: all of its clients share it. */
  readonly isShared: boolean
}

export interface RequestContext extends Client {
  readonly requestId: string
}

/** The contexts of the pending requests. `http/server` creates them once. */
export interface RequestContexts {
  begin(request: Request, client: Client): RequestContext
  of(request: Request): RequestContext
  /** Returns a signal that aborts if the client disconnects or the request times out. */
  signalOf(request: Request): AbortSignal
  /** Call it when a request has timed out. */
  abort(request: Request): void
}

const wellFormedId = /^[A-Za-z0-9._-]{1,128}$/

/** Returns the incoming id if it is well-formed, or else a new one. */
export function requestIdOf(request: Request): string {
  const incoming = request.headers.get('x-request-id')
  return incoming !== null && wellFormedId.test(incoming) ? incoming : randomUUID()
}

const unknownClient: Client = { address: undefined, isSecure: false, isShared: false }

export function createRequestContexts(): RequestContexts {
  const current = new WeakMap<Request, RequestContext>()
  const aborts = new WeakMap<Request, AbortController>()
  const begin = (request: Request, { address, isSecure, isShared }: Client) => {
    const requestContext = { requestId: requestIdOf(request), address, isSecure, isShared }
    current.set(request, requestContext)
    return requestContext
  }
  const signalOf = (request: Request): AbortSignal => {
    const controller = new AbortController()
    aborts.set(request, controller)
    if (request.signal.aborted) controller.abort()
    else request.signal.addEventListener('abort', () => controller.abort(), { once: true })
    return controller.signal
  }
  return {
    begin,
    of: (request) => current.get(request) ?? begin(request, unknownClient),
    signalOf,
    abort: (request) => aborts.get(request)?.abort(),
  }
}
