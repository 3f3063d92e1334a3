/** Every error code. `http/problem` maps them to statuses, `cli` to exit codes. */
export type ErrorCode =
  | 'invalid_request'
  | 'unsupported_grant_type'
  | 'invalid_credentials'
  | 'invalid_grant'
  | 'invalid_client'
  | 'not_authenticated'
  | 'invalid_token'
  | 'password_change_required'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'method_not_allowed'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'invalid_fields'
  | 'too_many_attempts'
  | 'request_timeout'
  | 'overloaded'
  | 'unavailable'
  | 'refused'
  | 'usage'
  | 'internal'

/** Why a token that we signed is not accepted. */
export type TokenRefusal = 'expired' | 'revoked'

export interface FieldError {
  readonly field: string
  readonly message: string
}

/** Returns a sentence for each field. */
export function sentencesOf(fields: readonly FieldError[]): string {
  return fields.map(({ field, message }) => `The field ${field} ${message}.`).join(' ')
}

/**
 * The only error class. `message` is for people and never contains a request value, SQL, a path or
 * a secret.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly fields: readonly FieldError[]
  /** Whole seconds after which a retry may succeed. Undefined if unknown. */
  readonly retryAfter: number | undefined
  /** A more precise reason than the code, for metrics. Only a `TokenRefusal` is in a response. */
  readonly reason: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { fields?: readonly FieldError[]; retryAfter?: number; reason?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.fields = options.fields ?? []
    this.retryAfter = options.retryAfter
    this.reason = options.reason
  }
}
