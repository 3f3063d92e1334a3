import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { presentUser } from '../../domain/presentation.ts'
import { listSessionsOf, listUsers, requireUser } from '../../domain/users/users.ts'
import { type Guards, guardErrors } from '../auth/guard.ts'
import { SessionListSchema, sessionExample, toSession } from '../auth/sessionSchema.ts'
import { textCursor } from '../input/cursor.ts'
import { pageOf, pageParameters, readPage, toPage } from '../input/page.ts'
import { byId } from '../input/pathParameters.ts'
import { queryParameters } from '../input/query.ts'
import { operation } from '../operation.ts'
import { UserSchema, userExample } from './userSchema.ts'

const UserPage = pageOf(UserSchema)

const administration = { tag: 'Users', isForUsers: true, apiKeyAccess: 'users:read' } as const

/** Users, for administrators and for API keys with the scope `users:read`. */
export function userRoutes({ deps, guards }: { readonly deps: Deps; readonly guards: Guards }) {
  return new Elysia({ name: 'users' })
    .use(guards.userReader)
    .get(
      '/users',
      async ({ query }) => {
        const search = query.q === '' ? undefined : query.q
        const { users, next } = await listUsers(deps, { ...readPage(query, textCursor), search })
        return toPage(
          users.map((user) => presentUser(user)),
          next,
          textCursor,
        )
      },
      {
        ...queryParameters({
          ...pageParameters,
          q: t.Optional(
            t.String({ maxLength: 100, description: 'The start of a username, or of a word of a full name.' }),
          ),
        }),
        ...operation({
          ...administration,
          operationId: 'listUsers',
          summary: 'List users',
          description: 'Sorted by username. Pass `next` as `after` to get the next page; it is null on the last page.',
          schema: UserPage,
          example: { items: [userExample], next: null },
          errors: [...guardErrors, 'invalid_fields'],
        }),
      },
    )
    .get('/users/:id', async ({ params }) => presentUser(await requireUser(deps, params.id)), {
      ...byId,
      ...operation({
        ...administration,
        operationId: 'readUser',
        summary: 'Get a user',
        description: 'Returns the user with this id. To find an id by name, list users with `q`.',
        schema: UserSchema,
        example: userExample,
        errors: [...guardErrors, 'not_found'],
      }),
    })
    .get(
      '/users/:id/sessions',
      async ({ principal, params }) => ({
        items: (await listSessionsOf(deps, params.id)).map((session) => toSession(session, principal.sessionId)),
        next: null,
      }),
      {
        ...byId,
        ...operation({
          ...administration,
          operationId: 'listSessions',
          summary: "List a user's sessions",
          description: 'Active sessions, most recently used first.',
          schema: SessionListSchema,
          example: { items: [sessionExample], next: null },
          errors: [...guardErrors, 'not_found'],
        }),
      },
    )
}
