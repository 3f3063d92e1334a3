import { createIsLogged, type LoggedRequests } from '../../config/loggedRequests.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ProductMetrics } from '../../telemetry/productMetrics.ts'
import { readTraceparent } from '../../telemetry/traceContext.ts'
import type { Traces } from '../../telemetry/traces.ts'
import { redactPath } from './pathRedaction.ts'
import type { RequestContext } from './requestContext.ts'
import { methodLabel, type RouteTable } from './routeTable.ts'

export interface Instrumentation {
  /** Omit it if metrics are off. */
  readonly requestFinished?: ProductMetrics['requestFinished'] | undefined
  readonly traces?: Traces
  /** Defaults to `all`. */
  readonly logged?: LoggedRequests
}

interface FinishedRequest {
  readonly method: string
  /** The path that the client sent. */
  readonly requestedPath: string
  /** The path that was routed. */
  readonly path: string
  readonly status: number
  /** By `performance.now()`. */
  readonly started: number
}

export type AccessLog = (requestContext: RequestContext, finished: FinishedRequest) => void

/** Returns a function that logs and counts a finished request. */
export function createAccessLog(
  { requestFinished, logged = 'all' }: Instrumentation,
  log: Log,
  routeTable: RouteTable,
): AccessLog {
  const isLogged = createIsLogged(logged, Math.random)
  return ({ address, requestId }, { method, requestedPath, path, status, started }) => {
    const milliseconds = performance.now() - started
    requestFinished?.(routeTable.labelOf(path), methodLabel(method), status, milliseconds / 1000)
    if (!isLogged(status)) return
    log.info('request', {
      method,
      path: routeTable.isFixed(requestedPath) ? requestedPath : redactPath(requestedPath),
      status,
      duration_ms: Math.round(milliseconds * 100) / 100,
      address,
      request_id: requestId,
    })
  }
}

type Handle = (request: Request, peer?: string) => Promise<Response>

/** Runs each request in the trace that its `traceparent` header names. */
export function inTrace(traces: Traces | undefined, handle: Handle): Handle {
  if (!traces) return handle
  return (request, peer) => {
    const trace = readTraceparent(request.headers.get('traceparent'))
    return trace ? traces.run(trace, () => handle(request, peer)) : handle(request, peer)
  }
}
