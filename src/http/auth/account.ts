import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { maxPasswordLength } from '../../domain/passwords/policy.ts'
import { endSession, listSessions, logout, requireOwnSession } from '../../domain/sessions/sessions.ts'
import { changePassword } from '../../domain/signIn/changePassword.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { prepareHeaders } from '../edge/responseHeaders.ts'
import { recording } from '../edge/source.ts'
import { jsonBody, jsonErrors } from '../input/json.ts'
import { byId } from '../input/pathParameters.ts'
import { queryParameters } from '../input/query.ts'
import { emptyOperation, operation } from '../operation.ts'
import { constrained, named, uuid } from '../schema.ts'
import type { Guards } from './guard.ts'
import type { CookieSessions, SetCookies, TokenPrincipal } from './principal.ts'
import { SessionListSchema, sessionExample, toSession } from './sessionSchema.ts'

const PasswordBody = t.Object(
  {
    current_password: t.String({ minLength: 1 }),
    new_password: constrained(t.String({ minLength: 1 }), { maxLength: maxPasswordLength }),
  },
  { additionalProperties: false },
)

export interface AccountServices {
  readonly deps: Deps
  readonly guards: Guards
  readonly requestContexts: RequestContexts
  /** Undefined with PAGES=off. */
  readonly browserAccess?: CookieSessions | undefined
}

export const Me = named(
  'Me',
  t.Object({
    id: uuid(),
    username: constrained(t.String(), { minLength: 1 }),
    full_name: t.String(),
    is_active: t.Boolean(),
  }),
)

const meExample: typeof Me.static = {
  id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52',
  username: 'admin',
  full_name: 'Default Admin',
  is_active: true,
}

export const CurrentSession = named(
  'CurrentSession',
  t.Object({
    user: Me,
    roles: t.Array(t.String(), { description: 'The current roles. Empty while the user must change the password.' }),
    must_change_password: t.Boolean({ description: 'True: only `POST /auth/password` and signing out are allowed.' }),
    expires_at: t.String({
      format: 'date-time',
      description:
        'The end of the session. A refresh moves it; without a refresh token, the access token ends with it.',
    }),
  }),
)

export const currentSessionExample: typeof CurrentSession.static = {
  user: meExample,
  roles: ['billing'],
  must_change_password: false,
  expires_at: '2026-01-31T08:30:00.000Z',
}

const meHeaders = prepareHeaders({ 'content-type': 'application/json;charset=utf-8' })

const tag = 'Sessions'

/** The signed-in user, their sessions and their password. */
export function accountRoutes({ deps, guards, requestContexts, browserAccess }: AccountServices) {
  const forAnyUser = new Elysia({ name: 'account.anyUser' })
    .use(guards.anyUser)
    .get(
      '/auth/me',
      ({ principal: { user } }) => new Response(JSON.stringify(presentMe(user)), { headers: meHeaders }),
      operation({
        operationId: 'me',
        tag: 'Sign in',
        summary: 'Get the current user',
        description: 'Returns the user of the access token while the session and the user are active.',
        schema: Me,
        example: meExample,
        errors: ['forbidden'],
        isForUsers: true,
        acceptsCookie: true,
      }),
    )
    .get(
      '/auth/session',
      async ({ principal, request }) => {
        const session = await requireOwnSession(deps, principal, requestContexts.of(request).address)
        return presentCurrentSession(principal, session.expires_at)
      },
      operation({
        operationId: 'currentSession',
        tag: 'Sign in',
        summary: 'Get the current session',
        description:
          'Returns the user, what they may do, and until when. Also while the user must change the password.',
        schema: CurrentSession,
        example: currentSessionExample,
        errors: ['forbidden'],
        isForUsers: true,
        acceptsCookie: true,
      }),
    )
    .post(
      '/auth/logout',
      async ({ principal, query, request }) => {
        await logout(recording(deps, requestContexts, request), principal, query.all === 'true')
        return emptyResponse(principal.isByCookie ? browserAccess?.expire(request) : undefined)
      },
      {
        ...queryParameters({
          // Not UnionEnum: its first value becomes the default.
          all: t.Optional(
            t.Union([t.Literal('true'), t.Literal('false')], {
              description: 'End all sessions of the user. Defaults to false.',
            }),
          ),
        }),
        ...emptyOperation({
          operationId: 'logout',
          tag,
          summary: 'Sign out',
          description:
            'Ends this session, or with `all=true` all sessions of the user. Their tokens are rejected from the next request on.',
          errors: ['forbidden', 'invalid_fields'],
          isForUsers: true,
          acceptsCookie: true,
        }),
      },
    )
    .post(
      '/auth/password',
      async ({ principal, body, request }) => {
        await changePassword(recording(deps, requestContexts, request), principal, {
          current: body.current_password,
          next: body.new_password,
          address: requestContexts.of(request).address,
          signal: requestContexts.signalOf(request),
        })
        return emptyResponse(principal.isByCookie ? await browserAccess?.renew(request) : undefined)
      },
      {
        ...jsonBody(PasswordBody),
        ...emptyOperation({
          operationId: 'changePassword',
          tag,
          summary: 'Change your password',
          description:
            'Ends all other sessions of the user. After a required password change, sign in again: the token in use was ' +
            'issued for the change only.',
          errors: [...jsonErrors, 'forbidden', 'conflict', 'too_many_attempts', 'overloaded'],
          isForUsers: true,
          acceptsCookie: true,
        }),
      },
    )

  const forSignedIn = new Elysia({ name: 'account' })
    .use(guards.signedIn)
    .get(
      '/auth/sessions',
      async ({ principal }) => ({
        items: (await listSessions(deps, principal.user.id)).map((session) => toSession(session, principal.sessionId)),
        next: null,
      }),
      operation({
        operationId: 'listOwnSessions',
        tag,
        summary: 'List your sessions',
        description:
          'Your active sessions, most recently used first. `last_used_at` is the time of the login or the latest refresh.',
        schema: SessionListSchema,
        example: { items: [sessionExample], next: null },
        errors: ['password_change_required', 'forbidden'],
        isForUsers: true,
        acceptsCookie: true,
      }),
    )
    .delete(
      '/auth/sessions/:id',
      async ({ principal, params, request }) => {
        await endSession(recording(deps, requestContexts, request), principal.user, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...emptyOperation({
          operationId: 'endOwnSession',
          tag,
          summary: 'End one of your sessions',
          description: 'Signs you out on one device.',
          errors: ['password_change_required', 'forbidden', 'not_found'],
          isForUsers: true,
          acceptsCookie: true,
        }),
      },
    )

  return new Elysia({ name: 'account.all' }).use(forAnyUser).use(forSignedIn)
}

function presentMe({ id, username, full_name, is_active }: typeof Me.static): typeof Me.static {
  return { id, username, full_name, is_active }
}

/** Without the roles of a quarantined user: the token does not grant them. */
export function presentCurrentSession(
  { user, isForPasswordChange }: Pick<TokenPrincipal, 'user' | 'isForPasswordChange'>,
  expiresAt: Date,
): typeof CurrentSession.static {
  const { roles, must_change_password } = user
  return {
    user: presentMe(user),
    roles: must_change_password || isForPasswordChange ? [] : [...roles],
    must_change_password,
    expires_at: expiresAt.toISOString(),
  }
}

function emptyResponse({ setCookies }: SetCookies = { setCookies: [] }): Response {
  const response = new Response(null, { status: 204 })
  for (const cookie of setCookies) response.headers.append('set-cookie', cookie)
  return response
}
