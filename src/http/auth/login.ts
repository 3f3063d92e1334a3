import { Type } from '@sinclair/typebox'
import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { refreshSession, type Session } from '../../domain/sessions/sessions.ts'
import { login } from '../../domain/signIn/login.ts'
import { AppError } from '../../error.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { described, formBody, formRefusals } from '../input/form.ts'
import { operation } from '../operation.ts'
import type { AccessTokens } from '../tokens/accessTokens.ts'
import type { RefreshTokens } from '../tokens/refreshTokens.ts'
import type { DeviceCookies } from './deviceCookie.ts'
import type { Guards } from './guard.ts'

/** The whole of a token endpoint's form (RFC 6749 §4.3.2, §6). Members that it does not name are ignored, as §3.2 wants it. */
const TokenForm = t.Object({
  username: described('Required unless refreshing. Not case-sensitive.', 'admin'),
  password: described('Required unless refreshing.', 'changeme'),
  grant_type: described('`password` (the default) or `refresh_token`.', 'password'),
  scope: described('`offline_access` also returns a refresh token. Other scopes are ignored.', 'offline_access'),
  refresh_token: described('Required with `grant_type=refresh_token`.'),
  client_id: described('Accepted and ignored.'),
  client_secret: described('Accepted and ignored.'),
})

const RefreshForm = t.Object({
  refresh_token: t.String({ minLength: 1 }),
  grant_type: described('`refresh_token` (the default).', 'refresh_token'),
  client_id: described('Accepted and ignored.'),
  client_secret: described('Accepted and ignored.'),
})

/** RFC 6749 §5.1. */
const TokenAnswer = t.Object({
  access_token: t.String(),
  token_type: t.Literal('bearer'),
  // Elysia's own t.Integer would also take, and document, a text of digits.
  expires_in: Type.Integer({ description: 'In seconds.' }),
  refresh_token: t.Optional(t.String({ description: 'Valid for one use. Each refresh returns the next one.' })),
  scope: t.Optional(t.String()),
})

const Me = t.Object({
  id: t.String({ format: 'uuid' }),
  username: t.String(),
  full_name: t.String(),
  is_active: t.Boolean(),
})

export interface AuthServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly guards: Guards
  readonly deviceCookies: DeviceCookies
  readonly requestContexts: RequestContexts
}

const tokenExample = {
  access_token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJ…',
  token_type: 'bearer' as const,
  expires_in: 1800,
}

export function authRoutes(services: AuthServices) {
  const { guards } = services
  return new Elysia({ name: 'auth' })
    .post('/auth/login', ({ body, request, set }) => grant(services, body, request, set.headers), {
      ...formBody,
      body: TokenForm,
      ...operation({
        operationId: 'login',
        tag: 'Sign in',
        summary: 'Sign in with a username and password',
        description:
          'The OAuth 2.0 password grant (RFC 6749 §4.3), for first-party clients. Send the access token in the ' +
          '`Authorization: Bearer` header. Unknown usernames, wrong passwords and disabled users get the same response. ' +
          'As an OAuth token endpoint, it also accepts `grant_type=refresh_token`.',
        schema: TokenAnswer,
        example: tokenExample,
        errors: [
          ...formRefusals,
          'unsupported_grant_type',
          'invalid_credentials',
          'invalid_grant',
          'too_many_attempts',
          'overloaded',
        ],
        isOauth: true,
      }),
    })
    .post(
      '/auth/refresh',
      async ({ body, request }) => {
        requireGrant(body.grant_type, 'refresh_token')
        return answerOf(services, await refresh(services, body.refresh_token, request))
      },
      {
        ...formBody,
        body: RefreshForm,
        ...operation({
          operationId: 'refresh',
          tag: 'Sessions',
          summary: 'Refresh an access token',
          description:
            'Exchanges a refresh token for a new access token and the next refresh token. A refresh token is valid for one ' +
            'use. If the response is lost, retry within ten seconds to get the same successor. Using an older token ends the ' +
            'session, because the token may have been stolen.',
          schema: TokenAnswer,
          example: { ...tokenExample, refresh_token: 'atr_…', scope: 'offline_access' },
          errors: [...formRefusals, 'unsupported_grant_type', 'invalid_grant'],
          isOauth: true,
        }),
      },
    )
    .use(guards.anyUser)
    .get(
      '/auth/me',
      ({ principal: { user } }) => pickMe(user),
      operation({
        operationId: 'me',
        tag: 'Sign in',
        summary: 'Get the current user',
        description: 'Returns the user of the access token while the session and the user are active.',
        schema: Me,
        example: {
          id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52',
          username: 'admin',
          full_name: 'Default Admin',
          is_active: true,
        },
        errors: [],
        isForUsers: true,
      }),
    )
}

type AnswerHeaders = Record<string, string | number | readonly string[]>

/** The token endpoint (RFC 6749 §3.2): a password, or a refresh token. */
async function grant(
  services: AuthServices,
  body: typeof TokenForm.static,
  request: Request,
  headers: AnswerHeaders,
): Promise<typeof TokenAnswer.static> {
  if (body.grant_type === 'refresh_token')
    return answerOf(services, await refresh(services, requireField(body, 'refresh_token'), request))
  requireGrant(body.grant_type, 'password')
  const { deps, deviceCookies, requestContexts } = services
  const [username, password] = [requireField(body, 'username'), requireField(body, 'password')]
  const attempt = deviceCookies.subjectOf(request, username)
  const session = await login(deps, {
    username,
    password,
    isRefreshable: body.scope?.split(' ').includes('offline_access') === true,
    address: requestContexts.of(request).address,
    userAgent: request.headers.get('user-agent') ?? undefined,
    throttleSubject: attempt,
    signal: requestContexts.signalOf(request),
  })
  headers['set-cookie'] = deviceCookies.setCookie(request, attempt)
  return answerOf(services, session)
}

function refresh(
  { deps, refreshTokens, requestContexts }: AuthServices,
  text: string,
  request: Request,
): Promise<Session> {
  const token = refreshTokens.read(text)
  if (!token) {
    deps.metrics.refresh('invalid')
    throw new AppError('invalid_grant', 'The refresh token is invalid, expired or revoked. Sign in again.')
  }
  return refreshSession(deps, token, requestContexts.of(request).address)
}

async function answerOf({ tokens, refreshTokens }: AuthServices, session: Session): Promise<typeof TokenAnswer.static> {
  const answer = {
    access_token: await tokens.sign(session),
    token_type: 'bearer' as const,
    expires_in: session.expiresIn,
  }
  const { id: sessionId, refreshGeneration: generation } = session
  if (generation === null) return answer
  return { ...answer, refresh_token: refreshTokens.make({ sessionId, generation }), scope: 'offline_access' }
}

function requireGrant(given: string | undefined, expected: 'password' | 'refresh_token'): void {
  if (given === undefined || given === expected) return
  throw new AppError('unsupported_grant_type', `The grant_type of this endpoint must be "${expected}".`)
}

function requireField<Name extends string>(body: { readonly [N in Name]?: string }, field: Name): string {
  const value = body[field]
  if (value !== undefined) return value
  throw new AppError('invalid_request', `The field ${field} is missing.`, {
    fields: [{ field, message: 'is missing' }],
  })
}

function pickMe({ id, username, full_name, is_active }: typeof Me.static): typeof Me.static {
  return { id, username, full_name, is_active }
}
