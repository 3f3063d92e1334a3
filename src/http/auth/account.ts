import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { endSession, listSessions, logout } from '../../domain/sessions/sessions.ts'
import { changePassword } from '../../domain/signIn/changePassword.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { jsonBody, jsonRefusals } from '../input/json.ts'
import { byId } from '../input/pathParameters.ts'
import { queryParameters } from '../input/query.ts'
import { operation, silentOperation } from '../operation.ts'
import type { Guards } from './guard.ts'
import { SessionListSchema, sessionExample, toSession } from './sessionSchema.ts'

const PasswordBody = t.Object(
  { current_password: t.String({ minLength: 1 }), new_password: t.String({ minLength: 1 }) },
  { additionalProperties: false },
)

export interface AccountServices {
  readonly deps: Deps
  readonly guards: Guards
  readonly requestContexts: RequestContexts
}

const tag = 'Stay in and get out'

/** What a signed-in user does with the own account. */
export function accountRoutes({ deps, guards, requestContexts }: AccountServices) {
  const forQuarantined = new Elysia({ name: 'account.quarantined' })
    .use(guards.quarantined)
    .post(
      '/auth/logout',
      async ({ principal, query }) => {
        await logout(deps, principal, query.all === 'true')
        return new Response(null, { status: 204 })
      },
      {
        ...queryParameters({
          // Not UnionEnum, whose first value is what is meant where none is given.
          all: t.Optional(
            t.Union([t.Literal('true'), t.Literal('false')], { description: 'every session of the user' }),
          ),
        }),
        ...silentOperation({
          operationId: 'logout',
          tag,
          summary: 'Sign out',
          description:
            'Ends this session, or with `all=true` every session of the user. Its tokens open nothing from here on.',
          refusals: ['invalid_fields'],
          isLocked: true,
        }),
      },
    )
    .post(
      '/auth/password',
      async ({ principal, body, request }) => {
        await changePassword(deps, principal, {
          current: body.current_password,
          next: body.new_password,
          address: requestContexts.of(request).address,
          signal: requestContexts.signalOf(request),
        })
        return new Response(null, { status: 204 })
      },
      {
        ...jsonBody(PasswordBody),
        ...silentOperation({
          operationId: 'changePassword',
          tag,
          summary: 'Change the own password',
          description:
            'Other sessions end, this one goes on. After a password that had to be changed, sign in again: the token at hand ' +
            'was good for this alone.',
          refusals: [...jsonRefusals, 'conflict', 'too_many_attempts', 'overloaded'],
          isLocked: true,
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
        summary: 'Where am I signed in?',
        description:
          'The own living sessions, the latest used first. `last_used_at` is the login or the latest refresh.',
        answer: SessionListSchema,
        example: { items: [sessionExample], next: null },
        refusals: ['password_change_required'],
        isLocked: true,
      }),
    )
    .delete(
      '/auth/sessions/:id',
      async ({ principal, params }) => {
        await endSession(deps, principal.user, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...silentOperation({
          operationId: 'endOwnSession',
          tag,
          summary: 'Sign out elsewhere',
          description: 'Ends one of the own sessions.',
          refusals: ['password_change_required', 'not_found'],
          isLocked: true,
        }),
      },
    )

  return new Elysia({ name: 'account.all' }).use(forQuarantined).use(forSignedIn)
}
