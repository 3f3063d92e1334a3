import type { TSchema } from 'elysia'
import type { RequiredAccess } from '../domain/apiKeys/apiKeyCheck.ts'
import type { ErrorCode } from '../error.ts'
import { oauthContentType, problemContentType, statusOf } from './problem.ts'
import { documented } from './schema.ts'

/** The sections of the OpenAPI document. `discovery/openapi` describes each one. */
export type Tag = 'Sign in' | 'Sessions' | 'Users' | 'API keys' | 'Keys' | 'Audit log' | 'Health'

/** The security schemes of the document, by their names in it. */
export const securitySchemes = { accessToken: 'passwordFlow', apiKey: 'apiKey', cookie: 'sessionCookie' } as const

/** Errors of every route: an undecodable query, a timeout, an unexpected failure. */
const commonErrors: readonly ErrorCode[] = ['invalid_request', 'overloaded', 'internal']

interface OperationInfo {
  readonly operationId: string
  readonly tag: Tag
  readonly summary: string
  readonly description: string
  /** Error codes besides those of every route, of an access token and of a slow body. */
  readonly errors: readonly ErrorCode[]
  /** Errors have the form that OAuth clients read. */
  readonly isOauth?: true
  /** Accepts a user's access token. */
  readonly isForUsers?: true
  /** Accepts the cookie of a browser session. */
  readonly acceptsCookie?: true
  /** Accepts an API key with this access. */
  readonly apiKeyAccess?: RequiredAccess
  /** Leaves out the errors of every route, except `overloaded`. */
  readonly hasNoCommonErrors?: true
}

export interface ResponseInfo<Schema extends TSchema> extends OperationInfo {
  /** The body of a success, with an example. */
  readonly schema: Schema
  readonly example: Schema['static']
  /** The other media types of a success. */
  readonly streams?: Readonly<Record<string, { readonly schema: object; readonly example: unknown }>>
}

/**
 * Returns the options of a route that responds 200: the schema that checks its response, and its
 * entry in the document. It lists all responses, or the plugin would give each three media types.
 */
export function operation<Schema extends TSchema>(info: ResponseInfo<Schema>) {
  return { response: { 200: info.schema }, detail: detailOf(info, 200, contentOf(info)) }
}

/** Returns the same for a route that responds 201. */
export function creation<Schema extends TSchema>(info: ResponseInfo<Schema>) {
  return { response: { 201: info.schema }, detail: detailOf(info, 201, contentOf(info)) }
}

/** Returns the same for a route without a response body. */
export function emptyOperation(info: OperationInfo, status: 200 | 204 = 204) {
  return { detail: detailOf(info, status, {}) }
}

interface RawInfo extends OperationInfo {
  readonly contentType: string
  readonly schema: object
  readonly example: string
}

/** Returns the same for a route whose response is not JSON. */
export function rawOperation({ contentType, schema, example, ...info }: RawInfo) {
  return { detail: detailOf(info, 200, { content: { [contentType]: { schema, example } } }) }
}

function contentOf<Schema extends TSchema>({ schema, example, streams = {} }: ResponseInfo<Schema>) {
  const others = Object.entries(streams).map(([type, media]) => [
    type,
    { schema: documented(media.schema), example: media.example },
  ])
  return { content: { 'application/json': { schema: documented(schema), example }, ...Object.fromEntries(others) } }
}

const successes = { 200: 'Success.', 201: 'Created.', 204: 'Success, without a body.' } as const

function detailOf(info: OperationInfo, status: keyof typeof successes, content: object) {
  const { operationId, tag, summary, description, errors, isOauth, isForUsers, hasNoCommonErrors } = info
  const security = securityOf(info)
  const tokenErrors: readonly ErrorCode[] = isForUsers ? ['not_authenticated', 'invalid_token', 'unavailable'] : []
  const bodyErrors: readonly ErrorCode[] = errors.includes('payload_too_large') ? ['request_timeout'] : []
  const general = hasNoCommonErrors ? (['overloaded'] as const) : commonErrors
  return {
    operationId,
    tags: [tag],
    summary,
    description,
    responses: {
      [status]: { description: successes[status], ...content },
      ...problemResponses([...new Set([...errors, ...tokenErrors, ...bodyErrors, ...general])], isOauth === true),
    },
    ...(security.length > 0 ? { security } : {}),
  }
}

/** Returns the accepted credentials; one of them is enough. */
function securityOf({ isForUsers, acceptsCookie, apiKeyAccess }: OperationInfo): Record<string, string[]>[] {
  const scopes = apiKeyAccess === undefined || apiKeyAccess === 'roles' ? [] : [apiKeyAccess]
  return [
    ...(isForUsers ? [{ [securitySchemes.accessToken]: [] }] : []),
    ...(acceptsCookie ? [{ [securitySchemes.cookie]: [] }] : []),
    ...(apiKeyAccess ? [{ [securitySchemes.apiKey]: scopes }] : []),
  ]
}

/** Returns one response for each status, with the error codes that it can have. */
function problemResponses(codes: readonly ErrorCode[], isOauth: boolean) {
  const byStatus = Map.groupBy(codes, statusOf)
  const schema = { $ref: `#/components/schemas/${isOauth ? 'OauthProblem' : 'Problem'}` }
  const contentType = isOauth ? oauthContentType : problemContentType
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      status,
      { description: `Error codes: ${ofStatus.join(', ')}.`, content: { [contentType]: { schema } } },
    ]),
  )
}
