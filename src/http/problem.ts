import type { AppError, ErrorCode, FieldError, TokenRefusal } from '../error.ts'

/** A new error code without a status does not compile. */
const statuses = {
  invalid_request: 400,
  unsupported_grant_type: 400,
  invalid_grant: 400,
  invalid_credentials: 401,
  invalid_client: 401,
  not_authenticated: 401,
  invalid_token: 401,
  password_change_required: 403,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  method_not_allowed: 405,
  request_timeout: 408,
  payload_too_large: 413,
  unsupported_media_type: 415,
  invalid_fields: 422,
  too_many_attempts: 429,
  internal: 500,
  usage: 500,
  overloaded: 503,
  refused: 503,
  unavailable: 503,
} as const satisfies Record<ErrorCode, number>

export const problemContentType = 'application/problem+json'
/** RFC 6749 §5.2. */
export const oauthContentType = 'application/json'

export function statusOf(code: ErrorCode): number {
  return statuses[code]
}

/** Details that must not reveal internals. */
const fixedDetails: Partial<Record<ErrorCode, string>> = {
  internal: 'An unexpected error occurred. The log has details under this request ID.',
  refused: 'The service is temporarily unavailable. Try again shortly.',
  unavailable: 'The service is temporarily unavailable. Try again shortly.',
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** RFC 6749 §5.2, which has no error code for server failures. */
const oauthErrors: Partial<Record<ErrorCode, string>> = {
  invalid_request: 'invalid_request',
  unsupported_grant_type: 'unsupported_grant_type',
  invalid_credentials: 'invalid_grant',
  invalid_grant: 'invalid_grant',
  invalid_client: 'invalid_client',
  not_authenticated: 'invalid_client',
  invalid_token: 'invalid_client',
  forbidden: 'unauthorized_client',
  password_change_required: 'unauthorized_client',
  invalid_fields: 'invalid_request',
  method_not_allowed: 'invalid_request',
  payload_too_large: 'invalid_request',
  unsupported_media_type: 'invalid_request',
  request_timeout: 'invalid_request',
  too_many_attempts: 'invalid_request',
}

const tokenRefusals: readonly (string | undefined)[] = ['expired', 'revoked'] satisfies TokenRefusal[]

/**
 * Returns the challenge of a 401. It names the scheme that the client used (RFC 6749 §5.2), and for
 * a token that we signed why it is not accepted (RFC 6750 §3).
 */
function challengeOf({ code, reason }: AppError): string {
  if (code === 'invalid_client') return 'Basic realm="audittrail"'
  if (code !== 'invalid_token' || !tokenRefusals.includes(reason)) return 'Bearer'
  return `Bearer error="invalid_token", error_description="${reason}"`
}

/** Seconds, unless the error has a value. */
const defaultRetryAfter = 2

/** RFC 9457. Only OAuth endpoints have `error`. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly request_id: string
  readonly errors?: readonly FieldError[]
  readonly error?: string
}

export interface ProblemContext {
  readonly requestId: string
  /** OAuth clients read `application/json` and `error`. */
  readonly isOauth: boolean
}

/** Returns the response for an error. It contains no request data and no internals. */
export function problemResponse(error: AppError, { requestId, isOauth }: ProblemContext): Response {
  const status = statusOf(error.code)
  const oauthError = isOauth ? oauthErrors[error.code] : undefined
  const problem: Problem = {
    type: `urn:audittrail:problem:${error.code}`,
    title: titles[status] ?? 'Error',
    status,
    detail: fixedDetails[error.code] ?? error.message,
    request_id: requestId,
    ...(error.fields.length > 0 ? { errors: error.fields } : {}),
    ...(oauthError ? { error: oauthError } : {}),
  }
  const headers: Record<string, string> = { 'content-type': isOauth ? oauthContentType : problemContentType }
  if (status === 401) headers['www-authenticate'] = challengeOf(error)
  // The rest of a slow body is not read (RFC 9110 §15.5.9).
  if (status === 408) headers.connection = 'close'
  if (status === 429 || status === 503) headers['retry-after'] = String(error.retryAfter ?? defaultRetryAfter)
  return new Response(JSON.stringify(problem), { status, headers })
}
