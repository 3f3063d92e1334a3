import { Elysia } from 'elysia'
import { recordAlone } from '../../domain/audit/audited.ts'
import type { Deps } from '../../domain/deps.ts'
import { type EventSearch, eachPage, requirePositionOf, searchEvents } from '../../domain/history/search.ts'
import { describeError } from '../../telemetry/log.ts'
import { type Guards, guardErrors, type UserAdministrator } from '../auth/guard.ts'
import type { OpenStreams } from '../edge/openStreams.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { recording } from '../edge/source.ts'
import { preferredType } from '../input/accept.ts'
import { pageOf, pageParameters, readPage, toPage } from '../input/page.ts'
import { queryParameters } from '../input/query.ts'
import { operation } from '../operation.ts'
import { csvHeader } from './csv.ts'
import { type EventQuery, eventCursor, eventParameters, readSearch } from './eventQuery.ts'
import { AuditEventSchema, eventExample } from './eventSchema.ts'
import { headersOf, type StreamFormat, streamedResponse, streamFormats } from './eventStream.ts'

export interface AuditRouteServices {
  readonly deps: Deps
  readonly guards: Guards
  readonly requestContexts: RequestContexts
  readonly openStreams: OpenStreams
}

const pageSize = 500
const formats = ['application/json', 'application/x-ndjson', 'text/csv'] as const

/** The audit log, for administrators and for API keys with the scope `audit:read`. */
export function auditEventRoute(services: AuditRouteServices) {
  const { deps, guards } = services
  return new Elysia({ name: 'audit.events' }).use(guards.auditReader).get(
    '/audit/events',
    ({ principal, query, request, set }) => {
      const search = readSearch(query)
      const page = readPage(query, eventCursor)
      requirePositionOf(search.criteria, page.after)
      const format = preferredType(request.headers.get('accept'), [...formats])
      if (format !== 'application/json') return exportEvents(services, { principal, query, request, search, format })
      set.headers.vary = 'Accept'
      return listEvents(deps, search, page)
    },
    {
      ...queryParameters({ ...pageParameters, ...eventParameters }),
      ...operation({
        operationId: 'listAuditEvents',
        tag: 'Audit log',
        summary: 'List audit events',
        description:
          'Newest first, as JSON in pages. With `Accept: application/x-ndjson` or `text/csv`, returns all matching records in ' +
          'one response, or the first `limit` if it is given; this is recorded as `audit.exported`. A record appears about a ' +
          'second after it happened.',
        schema: pageOf(AuditEventSchema),
        example: { items: [eventExample], next: null },
        streams: {
          'application/x-ndjson': { schema: AuditEventSchema, example: eventExample },
          'text/csv': { schema: { type: 'string' }, example: csvHeader },
        },
        errors: [...guardErrors, 'invalid_fields'],
        isForUsers: true,
        apiKeyAccess: 'audit:read',
      }),
    },
  )
}

async function listEvents(deps: Deps, search: EventSearch, page: Parameters<typeof searchEvents>[2]) {
  const { events, next } = await searchEvents(deps, search, page)
  return toPage([...events], next, eventCursor)
}

interface Export {
  readonly principal: UserAdministrator
  readonly query: EventQuery & { readonly limit?: string; readonly after?: string }
  readonly request: Request
  readonly search: EventSearch
  readonly format: StreamFormat
}

/** Records the export before its first byte, since a client that disconnects has read a part. */
async function exportEvents(
  { deps, requestContexts, openStreams }: AuditRouteServices,
  { principal: { actor, requireStill }, query, request, search, format }: Export,
): Promise<Response> {
  const event = {
    event: 'audit.exported',
    by: actor.name,
    format: streamFormats[format].name,
    filters: Object.keys(eventParameters).filter((name) => Object.hasOwn(query, name)),
  } as const
  // The framework would read a whole body for its length.
  if (request.method === 'HEAD') return new Response(null, { headers: headersOf(format) })
  await recordAlone(recording(deps, requestContexts, request, actor.party), { event })
  const { requestId } = requestContexts.of(request)
  const { after } = readPage(query, eventCursor)
  const most = query.limit === undefined ? undefined : Number(query.limit)
  const pages = whilePermitted(eachPage(deps, search, { size: pageSize, most, after }), requireStill)
  return streamedResponse(pages, format, {
    openStreams,
    onFailure: (error) => deps.log.error('audit.export_failed', { request_id: requestId, ...describeError(error) }),
  })
}

/** Yields pages until the caller loses access, which breaks the response off. */
async function* whilePermitted<Page>(
  pages: AsyncGenerator<Page, void>,
  requirePermission: () => Promise<void>,
): AsyncGenerator<Page, void> {
  for await (const page of pages) {
    await requirePermission()
    yield page
  }
}
