import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { presentUser } from '../../domain/presentation.ts'
import {
  changeUser,
  createUser,
  deleteUser,
  endSessionsOf,
  resetPassword,
  type WithPassword,
} from '../../domain/users/users.ts'
import { type Guards, guardRefusals } from '../auth/guard.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { jsonBody, jsonRefusals } from '../input/json.ts'
import { byId } from '../input/pathParameters.ts'
import { creation, operation, silentOperation } from '../operation.ts'
import { UserSchema, userExample } from './userSchema.ts'

// What they take is said here and judged in the domain, which knows how to say what is wrong.
const Roles = t.Array(t.String(), { description: 'up to 32 words of 1 to 32 of the characters a-z 0-9 _ -' })
const fullName = t.String({ description: '1 to 100 characters on one line' })

const UserWithPassword = t.Composite([
  UserSchema,
  t.Object({ one_time_password: t.Optional(t.String({ description: 'in the one answer that made it' })) }),
])

const strict = { additionalProperties: false }
const NewUser = t.Object(
  {
    username: t.String({ description: '1 to 50 of the characters A-Z a-z 0-9 . _ @ + -' }),
    full_name: fullName,
    password: t.Optional(t.String({ minLength: 1, description: 'left out: a one-time one is made' })),
    roles: t.Optional(Roles),
    must_change_password: t.Optional(t.Boolean({ description: 'true unless told otherwise' })),
  },
  strict,
)
const UserChange = t.Object(
  { full_name: t.Optional(fullName), roles: t.Optional(Roles), is_active: t.Optional(t.Boolean()) },
  strict,
)
const NewPassword = t.Object(
  { password: t.Optional(t.String({ minLength: 1 })), must_change_password: t.Optional(t.Boolean()) },
  strict,
)

const locked = { tag: 'Users', isLocked: true, opensToKeys: 'users:write' } as const

export interface UserChangeServices {
  readonly deps: Deps
  readonly guards: Guards
  readonly requestContexts: RequestContexts
}

/** Changes of users, for whoever has the role `admin`, and but for administrators for API keys with the scope `users:write`. */
export function userChangeRoutes({ deps, guards, requestContexts }: UserChangeServices) {
  return new Elysia({ name: 'userChanges' })
    .use(guards.userWriter)
    .post(
      '/users',
      async ({ principal, body, status, request }) =>
        status(201, withPassword(await createUser(deps, principal.actor, body, requestContexts.signalOf(request)))),
      {
        ...jsonBody(NewUser),
        ...creation({
          ...locked,
          operationId: 'createUser',
          summary: 'Make a user',
          description: 'Without `password` a one-time one is made, which is in this answer and nowhere else.',
          answer: UserWithPassword,
          example: { ...userExample, one_time_password: 'k3mp7a-…' },
          refusals: [...guardRefusals, ...jsonRefusals, 'conflict'],
        }),
      },
    )
    .patch(
      '/users/:id',
      async ({ principal, params, body }) => presentUser(await changeUser(deps, principal.actor, params.id, body)),
      {
        ...byId,
        ...jsonBody(UserChange),
        ...operation({
          ...locked,
          operationId: 'changeUser',
          summary: 'Change a user',
          description: 'What is left out stays. Disabling ends all sessions; the last active administrator stays one.',
          answer: UserSchema,
          example: userExample,
          refusals: [...guardRefusals, ...jsonRefusals, 'not_found', 'conflict'],
        }),
      },
    )
    .delete(
      '/users/:id',
      async ({ principal, params }) => nothing(await deleteUser(deps, principal.actor, params.id)),
      {
        ...byId,
        ...silentOperation({
          ...locked,
          operationId: 'deleteUser',
          summary: 'Delete a user',
          description: 'With all sessions. The last active administrator stays.',
          refusals: [...guardRefusals, 'not_found', 'conflict'],
        }),
      },
    )
    .post(
      '/users/:id/password',
      async ({ principal, params, body, request }) =>
        withPassword(await resetPassword(deps, principal.actor, params.id, body, requestContexts.signalOf(request))),
      {
        ...byId,
        ...jsonBody(NewPassword),
        ...operation({
          ...locked,
          operationId: 'resetPassword',
          summary: 'Reset a password',
          description: 'With `{}` a one-time one is made. All sessions of the user end.',
          answer: UserWithPassword,
          example: { ...userExample, one_time_password: 'k3mp7a-…' },
          refusals: [...guardRefusals, ...jsonRefusals, 'not_found'],
        }),
      },
    )
    .delete(
      '/users/:id/sessions',
      async ({ principal, params }) => nothing(await endSessionsOf(deps, principal.actor, params.id)),
      {
        ...byId,
        ...silentOperation({
          ...locked,
          operationId: 'endSessions',
          summary: "End a user's sessions",
          description: 'All of them: the user is signed out everywhere.',
          refusals: [...guardRefusals, 'not_found'],
        }),
      },
    )
}

function withPassword({ user, oneTimePassword }: WithPassword): typeof UserWithPassword.static {
  return presentUser(user, oneTimePassword)
}

function nothing(_done: unknown): Response {
  return new Response(null, { status: 204 })
}
