import type { Party, Source } from '../../domain/audit/record.ts'
import type { Deps } from '../../domain/deps.ts'
import type { RequestContexts } from './requestContext.ts'

/** Returns where a request comes from. */
export function sourceOf(requestContexts: RequestContexts, request: Request, by?: Party): Source {
  const { requestId, address } = requestContexts.of(request)
  return { by, request: requestId, address, agent: request.headers.get('user-agent') ?? undefined }
}

/** Returns dependencies that record a request, and its caller, as the source of events. */
export function recording(deps: Deps, requestContexts: RequestContexts, request: Request, by?: Party): Deps {
  return { ...deps, source: sourceOf(requestContexts, request, by) }
}
