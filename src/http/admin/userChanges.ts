import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { maxPasswordLength } from '../../domain/passwords/policy.ts'
import { presentUser } from '../../domain/presentation.ts'
import {
  changeUser,
  createUser,
  deleteUser,
  endSessionsOf,
  resetPassword,
  type WithPassword,
} from '../../domain/users/users.ts'
import { maxFullNameLength, usernamePattern } from '../../userFields.ts'
import { type Guards, guardErrors, type UserAdministrator } from '../auth/guard.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { recording } from '../edge/source.ts'
import { jsonBody, jsonErrors } from '../input/json.ts'
import { byId } from '../input/pathParameters.ts'
import { creation, emptyOperation, operation } from '../operation.ts'
import { constrained, named } from '../schema.ts'
import { rolesSchema, UserSchema, userExample } from './userSchema.ts'

const Roles = rolesSchema('Up to 32 roles, each 1 to 32 of the characters a-z 0-9 _ -.')
const fullName = constrained(t.String({ description: '1 to 100 characters on one line.' }), {
  minLength: 1,
  maxLength: maxFullNameLength,
})
const password = (description: string) =>
  constrained(t.String({ minLength: 1, description }), { maxLength: maxPasswordLength })

export const UserWithPassword = named(
  'UserWithPassword',
  t.Composite([
    UserSchema,
    t.Object({
      one_time_password: t.Optional(t.String({ description: 'The generated password. Returned only once.' })),
    }),
  ]),
)

const strict = { additionalProperties: false }
const NewUser = t.Object(
  {
    username: constrained(t.String({ description: '1 to 50 of the characters A-Z a-z 0-9 . _ @ + -.' }), {
      pattern: usernamePattern,
      minLength: 1,
      maxLength: 50,
    }),
    full_name: fullName,
    password: t.Optional(password('Omit it to generate a one-time password.')),
    roles: t.Optional(Roles),
    must_change_password: t.Optional(t.Boolean({ description: 'Defaults to true.' })),
  },
  strict,
)
const UserChange = t.Object(
  { full_name: t.Optional(fullName), roles: t.Optional(Roles), is_active: t.Optional(t.Boolean()) },
  strict,
)
const NewPassword = t.Object(
  {
    password: t.Optional(password('Omit it to generate a one-time password.')),
    must_change_password: t.Optional(t.Boolean()),
  },
  strict,
)

const administration = { tag: 'Users', isForUsers: true, apiKeyAccess: 'users:write' } as const

export interface UserChangeServices {
  readonly deps: Deps
  readonly guards: Guards
  readonly requestContexts: RequestContexts
}

/**
 * Changes to users, for administrators and for API keys with the scope `users:write`.
 * API keys cannot create or change administrators.
 */
export function userChangeRoutes({ deps, guards, requestContexts }: UserChangeServices) {
  const by = ({ actor }: UserAdministrator, request: Request) => recording(deps, requestContexts, request, actor.party)
  return new Elysia({ name: 'userChanges' })
    .use(guards.userWriter)
    .post(
      '/users',
      async ({ principal, body, status, request }) =>
        status(
          201,
          withPassword(
            await createUser(by(principal, request), principal.actor, body, requestContexts.signalOf(request)),
          ),
        ),
      {
        ...jsonBody(NewUser),
        ...creation({
          ...administration,
          operationId: 'createUser',
          summary: 'Create a user',
          description: 'Without a `password`, a one-time password is generated and returned once.',
          schema: UserWithPassword,
          example: { ...userExample, one_time_password: 'k3mp7a-…' },
          errors: [...guardErrors, ...jsonErrors, 'conflict'],
        }),
      },
    )
    .patch(
      '/users/:id',
      async ({ principal, params, body, request }) =>
        presentUser(await changeUser(by(principal, request), principal.actor, params.id, body)),
      {
        ...byId,
        ...jsonBody(UserChange),
        ...operation({
          ...administration,
          operationId: 'changeUser',
          summary: 'Update a user',
          description:
            'Omitted fields stay unchanged. Disabling a user ends all of their sessions. The last active administrator ' +
            'cannot be disabled or lose the `admin` role.',
          schema: UserSchema,
          example: userExample,
          errors: [...guardErrors, ...jsonErrors, 'not_found', 'conflict'],
        }),
      },
    )
    .delete(
      '/users/:id',
      async ({ principal, params, request }) =>
        noContent(await deleteUser(by(principal, request), principal.actor, params.id)),
      {
        ...byId,
        ...emptyOperation({
          ...administration,
          operationId: 'deleteUser',
          summary: 'Delete a user',
          description:
            'Also ends all of their sessions. The last active administrator cannot be deleted, nor a user that other ' +
            'tables of the database refer to: disable the user instead.',
          errors: [...guardErrors, 'not_found', 'conflict', 'invalid_fields'],
        }),
      },
    )
    .post(
      '/users/:id/password',
      async ({ principal, params, body, request }) =>
        withPassword(
          await resetPassword(
            by(principal, request),
            principal.actor,
            params.id,
            body,
            requestContexts.signalOf(request),
          ),
        ),
      {
        ...byId,
        ...jsonBody(NewPassword),
        ...operation({
          ...administration,
          operationId: 'resetPassword',
          summary: 'Reset a password',
          description: 'Send `{}` to generate a one-time password. Ends all sessions of the user.',
          schema: UserWithPassword,
          example: { ...userExample, one_time_password: 'k3mp7a-…' },
          errors: [...guardErrors, ...jsonErrors, 'not_found', 'conflict'],
        }),
      },
    )
    .delete(
      '/users/:id/sessions',
      async ({ principal, params, request }) =>
        noContent(await endSessionsOf(by(principal, request), principal.actor, params.id)),
      {
        ...byId,
        ...emptyOperation({
          ...administration,
          operationId: 'endSessions',
          summary: "End a user's sessions",
          description: 'Signs the user out on all devices.',
          errors: [...guardErrors, 'not_found'],
        }),
      },
    )
}

function withPassword({ user, oneTimePassword }: WithPassword): typeof UserWithPassword.static {
  return presentUser(user, oneTimePassword)
}

function noContent(_done: unknown): Response {
  return new Response(null, { status: 204 })
}
