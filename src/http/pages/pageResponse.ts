import { AppError, type ErrorCode } from '../../error.ts'
import type { Frame } from '../../pages/frame.ts'
import { type LinkQuery, link, type PagePath } from '../../pages/link.ts'
import { problemPage } from '../../pages/problem.tsx'
import { describeError, type Log } from '../../telemetry/log.ts'
import { statusOf } from '../problem.ts'

/** No inline, external or framed content, and no text that becomes code or markup. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const pageHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': contentSecurityPolicy,
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'publickey-credentials-get=(self), publickey-credentials-create=(self)',
  // With `no-referrer`, the Origin of a form would be `null`.
  'referrer-policy': 'same-origin',
} as const

interface PageInit {
  readonly status?: number
  readonly setCookies?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

export function pageResponse(html: string, { status = 200, setCookies = [], headers = {} }: PageInit = {}): Response {
  return withCookies(
    new Response(html, { status, headers: { 'content-type': 'text/html; charset=utf-8', ...pageHeaders, ...headers } }),
    setCookies,
  )
}

/** Returns a redirect to one of our pages, or to a result of `returnTarget`. */
export function redirect(location: string, { setCookies = [], headers = {} }: Omit<PageInit, 'status'> = {}): Response {
  return withCookies(new Response(null, { status: 303, headers: { ...pageHeaders, ...headers, location } }), setCookies)
}

export function redirectTo(frame: Frame, page: PagePath, query: LinkQuery = {}, init: PageInit = {}): Response {
  return redirect(link(frame, page, query), init)
}

function withCookies(response: Response, setCookies: readonly string[]): Response {
  for (const cookie of setCookies) response.headers.append('set-cookie', cookie)
  return response
}

/** Seconds, unless the error has a value. */
const defaultRetryAfter = 2

/** Returns the headers that a status requires besides its page. */
export function headersOf({ code, retryAfter }: AppError): Record<string, string> {
  const status = statusOf(code)
  if (status === 401) return { 'www-authenticate': 'Bearer' }
  // The rest of a slow body is not read (RFC 9110 §15.5.9).
  if (status === 408) return { connection: 'close' }
  return status === 429 || status === 503 ? { 'retry-after': String(retryAfter ?? defaultRetryAfter) } : {}
}

const problemKinds: Partial<Record<ErrorCode, 'unavailable' | 'notFound' | 'internal'>> = {
  unavailable: 'unavailable',
  refused: 'unavailable',
  overloaded: 'unavailable',
  too_many_attempts: 'unavailable',
  not_found: 'notFound',
  internal: 'internal',
  usage: 'internal',
}

interface Failed {
  readonly frame: Frame
  readonly requestId: string
  readonly log: Pick<Log, 'error'>
}

/** Returns the page for an error that no page expects. */
export function problemPageResponse(thrown: unknown, { frame, requestId, log }: Failed): Response {
  const error = thrown instanceof AppError ? thrown : new AppError('internal', 'unexpected', { cause: thrown })
  if (error.code === 'internal') log.error('request.failed', { request_id: requestId, ...describeError(thrown) })
  const html = problemPage(frame, { kind: problemKinds[error.code] ?? 'invalid', requestId })
  return pageResponse(html, { status: statusOf(error.code), headers: headersOf(error) })
}
