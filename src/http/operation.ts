import { swagger } from '@elysiajs/swagger'
import { Type } from '@sinclair/typebox'
import { type TSchema, t } from 'elysia'
import type { RequiredAccess } from '../domain/apiKeys/apiKeyCheck.ts'
import type { ErrorCode } from '../error.ts'
import { oauthContentType, problemContentType, statusOf } from './problem.ts'

/** RFC 9457, as every refusal is sent. */
const Problem = t.Object({
  type: t.String({ examples: ['urn:audittrail:problem:not_found'], description: 'stable: what programs compare' }),
  title: t.String(),
  status: Type.Integer(),
  detail: t.String({ description: 'for people; what happened and what to do' }),
  request_id: t.String({ description: 'the same as in X-Request-Id and in the log' }),
  errors: t.Optional(t.Array(t.Object({ field: t.String(), message: t.String() }))),
})

/** The same with the `error` of RFC 6749 §5.2, as OAuth clients read it. */
const OauthProblem = t.Composite([
  Problem,
  t.Object({ error: t.Optional(t.String({ examples: ['invalid_grant'], description: 'a word of RFC 6749 §5.2' })) }),
])

/** The name under which the document knows the bearer token, and how a person gets one. */
const passwordFlow = 'passwordFlow'
/** The same for an API key. */
const apiKey = 'apiKey'

/** A query that is no text, an answer that took too long, and what nobody foresaw. */
const everywhere: readonly ErrorCode[] = ['invalid_request', 'overloaded', 'internal']

interface OperationText {
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  readonly description: string
  /** Every word with which it can refuse, besides those of every route, of every guard and of every body. */
  readonly refusals: readonly ErrorCode[]
  /** Refusals go out as OAuth clients read them. */
  readonly isOauth?: true
  /** Needs a bearer token. */
  readonly isLocked?: true
  /** An API key of this scope does too. */
  readonly opensToKeys?: RequiredAccess
  /** Not even those of every route. */
  readonly hasNoOthers?: true
}

export interface ResponseText<Answer extends TSchema> extends OperationText {
  /** What a success is, with an example of it. */
  readonly answer: Answer
  readonly example: Answer['static']
}

/**
 * What a route is to its callers, once: the schema that its answer is checked against, and its place in the document.
 * The responses of the document are all given here, because the plugin would list each under three content types.
 */
export function operation<Answer extends TSchema>(text: ResponseText<Answer>) {
  return { response: { 200: text.answer }, detail: detailOf(text, 200, contentOf(text)) }
}

/** The same for a route that makes something: 201. */
export function creation<Answer extends TSchema>(text: ResponseText<Answer>) {
  return { response: { 201: text.answer }, detail: detailOf(text, 201, contentOf(text)) }
}

/** The same for a route that answers nothing: 204, or 200 with an empty body where a standard wants it. */
export function silentOperation(text: OperationText, status: 200 | 204 = 204) {
  return { detail: detailOf(text, status, {}) }
}

function contentOf<Answer extends TSchema>({ answer, example }: ResponseText<Answer>) {
  return { content: { 'application/json': { schema: documented(answer), example } } }
}

function detailOf(text: OperationText, status: number, content: object) {
  const { operationId, tag, summary, description, refusals, isOauth, isLocked, hasNoOthers } = text
  const security = securityOf(text)
  const guarding: readonly ErrorCode[] = isLocked ? ['not_authenticated', 'invalid_token', 'unavailable'] : []
  const reading: readonly ErrorCode[] = refusals.includes('payload_too_large') ? ['request_timeout'] : []
  const general = hasNoOthers ? (['overloaded'] as const) : everywhere
  return {
    operationId,
    tags: [tag],
    summary,
    description,
    responses: {
      [status]: { description: 'Done.', ...content },
      ...problemResponses([...new Set([...refusals, ...guarding, ...reading, ...general])], isOauth === true),
    },
    ...(security.length > 0 ? { security } : {}),
  }
}

/** The ways in, each by itself enough. */
function securityOf({ isLocked, opensToKeys }: OperationText): Record<string, string[]>[] {
  const scopes = opensToKeys === undefined || opensToKeys === 'roles' ? [] : [opensToKeys]
  return [...(isLocked ? [{ [passwordFlow]: [] }] : []), ...(opensToKeys ? [{ [apiKey]: scopes }] : [])]
}

/** TypeBox's schemas are JSON Schema; only their types say more than the plugin's know. */
function documented(schema: TSchema): object {
  return schema
}

/** One entry a status, which names each way to it. */
function problemResponses(codes: readonly ErrorCode[], isOauth: boolean) {
  const byStatus = Map.groupBy(codes, statusOf)
  const schema = { $ref: `#/components/schemas/${isOauth ? 'OauthProblem' : 'Problem'}` }
  const contentType = isOauth ? oauthContentType : problemContentType
  return Object.fromEntries(
    [...byStatus].map(([status, words]) => [
      status,
      { description: `Refused: ${words.join(', ')}.`, content: { [contentType]: { schema } } },
    ]),
  )
}

export interface DocumentSettings {
  readonly basePath: string
  readonly version: string
}

/** The plugin that makes the document at `/openapi.json` from the routes; its page is replaced by `http/discovery/docs`. */
export function openApiDocument({ basePath, version }: DocumentSettings) {
  return swagger({
    path: '/docs',
    specPath: '/openapi.json',
    // A path such as /.well-known/… is no static file.
    excludeStaticFile: false,
    documentation: {
      // Beyond what the plugin claims: TypeBox writes JSON Schema, which OpenAPI 3.1 takes as it is.
      ...({ openapi: '3.1.0' } as object),
      info: {
        title: 'AuditTrail',
        version,
        description:
          'A login for your web app. Press Authorize and sign in; then every locked route can be tried from here.\n\n' +
          'Refusals are problems (RFC 9457); on the endpoints that OAuth clients call they carry `error` too (RFC 6749 §5.2).',
        license: { name: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'Sign in', description: 'Sign in, and see who is signed in.' },
        { name: 'Stay in and get out', description: 'Refresh, sign out, sessions, the own password.' },
        { name: 'Users', description: 'Administration: for whoever has the role admin.' },
        { name: 'API keys', description: 'For programs: administrators make and revoke them.' },
        { name: 'Keys', description: 'For whoever verifies tokens, by asking or without.' },
        { name: 'Health', description: 'For load balancers and orchestrators.' },
      ],
      components: {
        schemas: { Problem: documented(Problem), OauthProblem: documented(OauthProblem) },
        securitySchemes: {
          [passwordFlow]: {
            type: 'oauth2',
            description: 'Name and password; client_id and client_secret may stay empty.',
            flows: {
              password: {
                tokenUrl: `${basePath}/auth/login`,
                refreshUrl: `${basePath}/auth/refresh`,
                scopes: { offline_access: 'a refresh token beside the access token' },
              },
            },
          },
          [apiKey]: { type: 'http', scheme: 'bearer', description: 'An API key, `atk_…`.' },
        },
      },
    },
  })
}
