import { Type } from '@sinclair/typebox'
import { Elysia, t } from 'elysia'
import type { Deps } from '../domain/deps.ts'
import { login } from '../domain/login.ts'
import { AppError } from '../error.ts'
import type { Exchanges } from './exchange.ts'
import { readForm } from './form.ts'
import type { Guard } from './guard.ts'
import { operation } from './openapi.ts'
import type { Tokens } from './tokens.ts'

/** OAuth2 password form (RFC 6749 §4.3.2). Members that it does not name are ignored, as §3.2 wants it. */
const LoginForm = t.Object({
  username: t.String({ minLength: 1, description: 'compared without case', examples: ['admin'] }),
  password: t.String({ minLength: 1, examples: ['changeme'] }),
  grant_type: t.Optional(t.String({ description: '`password`, or left out', examples: ['password'] })),
  scope: t.Optional(t.String({ description: 'accepted, and without effect' })),
  client_id: t.Optional(t.String({ description: 'accepted, and without effect' })),
  client_secret: t.Optional(t.String({ description: 'accepted, and without effect' })),
})

/** RFC 6749 §5.1. */
const TokenAnswer = t.Object({
  access_token: t.String(),
  token_type: t.Literal('bearer'),
  // Elysia's own t.Integer would also take, and document, a text of digits.
  expires_in: Type.Integer({ description: 'seconds' }),
})

const Me = t.Object({
  id: t.String({ format: 'uuid' }),
  username: t.String(),
  full_name: t.String(),
  is_active: t.Boolean(),
})

export interface AuthServices {
  readonly deps: Deps
  readonly tokens: Tokens
  readonly guard: Guard
  readonly exchanges: Exchanges
}

export function authRoutes({ deps, tokens, guard, exchanges }: AuthServices) {
  return new Elysia({ name: 'auth' })
    .post(
      '/auth/login',
      async ({ body, request }) => {
        requirePasswordGrant(body.grant_type)
        const { address } = exchanges.of(request)
        const userAgent = request.headers.get('user-agent') ?? undefined
        const session = await login(deps, { username: body.username, password: body.password, address, userAgent })
        return {
          access_token: await tokens.sign(session),
          token_type: 'bearer' as const,
          expires_in: deps.accessTokenSeconds,
        }
      },
      {
        // The names behind the parser are for the document: they say what the body may be.
        parse: [({ request }) => readForm(request), 'application/x-www-form-urlencoded', 'multipart/form-data'],
        body: LoginForm,
        ...operation({
          operationId: 'login',
          tag: 'Sign in',
          summary: 'Sign in with name and password',
          description:
            'The OAuth2 password form (RFC 6749 §4.3), for first-party clients. The access token goes into the header ' +
            '`Authorization: Bearer …`. Unknown names, wrong passwords and disabled users are refused alike.',
          answer: TokenAnswer,
          example: {
            access_token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJ…',
            token_type: 'bearer',
            expires_in: 1800,
          },
          refusals: [
            'invalid_request',
            'unsupported_grant_type',
            'invalid_credentials',
            'payload_too_large',
            'unsupported_media_type',
            'unavailable',
          ],
          isOauth: true,
        }),
      },
    )
    .use(guard)
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
        refusals: ['not_authenticated', 'invalid_token', 'unavailable'],
        isLocked: true,
      }),
    )
}

function requirePasswordGrant(grantType: string | undefined): void {
  if (grantType !== undefined && grantType !== 'password') {
    throw new AppError('unsupported_grant_type', 'The grant_type of this endpoint is "password".')
  }
}

function pickMe({ id, username, full_name, is_active }: typeof Me.static): typeof Me.static {
  return { id, username, full_name, is_active }
}
