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
  username: described('needed but for a refresh; compared without case', 'admin'),
  password: described('needed but for a refresh', 'changeme'),
  grant_type: described('`password` (or left out), or `refresh_token`', 'password'),
  scope: described('`offline_access`: a refresh token too; others are accepted and without effect', 'offline_access'),
  refresh_token: described('with `grant_type=refresh_token`'),
  client_id: described('accepted, and without effect'),
  client_secret: described('accepted, and without effect'),
})

const RefreshForm = t.Object({
  refresh_token: t.String({ minLength: 1 }),
  grant_type: described('`refresh_token`, or left out', 'refresh_token'),
  client_id: described('accepted, and without effect'),
  client_secret: described('accepted, and without effect'),
})

/** RFC 6749 §5.1. */
const TokenAnswer = t.Object({
  access_token: t.String(),
  token_type: t.Literal('bearer'),
  // Elysia's own t.Integer would also take, and document, a text of digits.
  expires_in: Type.Integer({ description: 'seconds' }),
  refresh_token: t.Optional(t.String({ description: 'good for one use; the next one comes with the answer' })),
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
        summary: 'Sign in with name and password',
        description:
          'The OAuth2 password form (RFC 6749 §4.3), for first-party clients. The access token goes into the header ' +
          '`Authorization: Bearer …`. Unknown names, wrong passwords and disabled users are refused alike. ' +
          'It also takes `grant_type=refresh_token`, so that it is a whole OAuth token endpoint.',
        answer: TokenAnswer,
        example: tokenExample,
        refusals: [
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
          tag: 'Stay in and get out',
          summary: 'Exchange a refresh token for the next pair',
          description:
            'A refresh token is good for one use. Whoever lost the answer may ask again within ten seconds and gets the same ' +
            'successor; an older token ends the session, since somebody else may have it.',
          answer: TokenAnswer,
          example: { ...tokenExample, refresh_token: 'atr_…', scope: 'offline_access' },
          refusals: [...formRefusals, 'unsupported_grant_type', 'invalid_grant'],
          isOauth: true,
        }),
      },
    )
    .use(guards.quarantined)
    .get(
      '/auth/me',
      ({ principal: { user } }) => pickMe(user),
      operation({
        operationId: 'me',
        tag: 'Sign in',
        summary: 'Who is signed in?',
        description: 'The user whose token this is, as long as the session lives and the user is active.',
        answer: Me,
        example: {
          id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52',
          username: 'admin',
          full_name: 'Default Admin',
          is_active: true,
        },
        refusals: [],
        isLocked: true,
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
    throw new AppError('invalid_grant', 'The refresh token is not valid, or no longer: sign in again.')
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
  throw new AppError('unsupported_grant_type', `The grant_type of this endpoint is "${expected}".`)
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
