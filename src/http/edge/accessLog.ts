import { createIsLogged, type LoggedRequests } from '../../config/loggedRequests.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ProductMetrics } from '../../telemetry/productMetrics.ts'
import { readTraceparent } from '../../telemetry/traceContext.ts'
import type { Traces } from '../../telemetry/traces.ts'
import { loggedPath } from './loggedPath.ts'
import type { RequestContext } from './requestContext.ts'
import { createRoutePattern, methodLabel, type RouteList } from './routePattern.ts'

/** What is seen of requests from outside. Whatever is left out is not looked for. */
export interface Instrumentation {
  /** Left out: nobody asks for metrics. */
  readonly requestFinished?: ProductMetrics['requestFinished'] | undefined
  readonly traces?: Traces
  /** `all` where it is left out. */
  readonly logged?: LoggedRequests
}

/** What became of a request. */
interface Answered {
  readonly method: string
  /** The path as the client wrote it, and as the routes see it. */
  readonly asked: string
  readonly path: string
  readonly status: number
  /** By `performance.now()`. */
  readonly started: number
}

export type AccessLog = (requestContext: RequestContext, answered: Answered) => void

/** The line of the log, and what is counted. */
export function createAccessLog(
  { requestFinished: answered, logged = 'all' }: Instrumentation,
  log: Log,
  routes: RouteList,
  basePath: string,
): AccessLog {
  const isLogged = createIsLogged(logged, Math.random)
  const routeOf = createRoutePattern(routes, basePath)
  return ({ address, requestId }, { method, asked, path, status, started }) => {
    const milliseconds = performance.now() - started
    answered?.(routeOf(path), methodLabel(method), status, milliseconds / 1000)
    if (!isLogged(status)) return
    log.info('request', {
      method,
      path: loggedPath(asked),
      status,
      duration_ms: Math.round(milliseconds * 100) / 100,
      address,
      request_id: requestId,
    })
  }
}

/** What answers requests, each in the trace that it says it is part of. */
export function inTrace(traces: Traces | undefined, handle: Handler): Handler {
  if (!traces) return handle
  return (request, peer) => {
    const trace = readTraceparent(request.headers.get('traceparent'))
    return trace ? traces.run(trace, () => handle(request, peer)) : handle(request, peer)
  }
}

type Handler = (request: Request, peer?: string) => Promise<Response>
