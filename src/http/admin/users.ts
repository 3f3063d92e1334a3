import { isUtf8 } from 'node:buffer'
import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { presentUser } from '../../domain/presentation.ts'
import { listSessionsOf, listUsers, requireUser } from '../../domain/users/users.ts'
import { AppError } from '../../error.ts'
import { type Guards, guardRefusals } from '../auth/guard.ts'
import { SessionListSchema, sessionExample, toSession } from '../auth/sessionSchema.ts'
import { byId } from '../input/pathParameters.ts'
import { pageParameters, queryParameters } from '../input/query.ts'
import { operation } from '../operation.ts'
import { UserSchema, userExample } from './userSchema.ts'

const UserPage = t.Object({ items: t.Array(UserSchema), next: t.Union([t.String(), t.Null()]) })

const locked = { tag: 'Users', isLocked: true, opensToKeys: 'users:read' } as const

/** Users as they are, for whoever has the role `admin` and for API keys with the scope `users:read`. */
export function userRoutes({ deps, guards }: { readonly deps: Deps; readonly guards: Guards }) {
  return new Elysia({ name: 'users' })
    .use(guards.userReader)
    .get('/users', async ({ query }) => page(await listUsers(deps, readPage(query))), {
      ...queryParameters({
        ...pageParameters,
        q: t.Optional(t.String({ maxLength: 100, description: 'a part of a name or full name' })),
      }),
      ...operation({
        ...locked,
        operationId: 'listUsers',
        summary: 'List users',
        description:
          'In the order of their names. `next` is null at the end, else what the next page takes as `after`.',
        answer: UserPage,
        example: { items: [userExample], next: null },
        refusals: [...guardRefusals, 'invalid_fields'],
      }),
    })
    .get('/users/:id', async ({ params }) => presentUser(await requireUser(deps, params.id)), {
      ...byId,
      ...operation({
        ...locked,
        operationId: 'readUser',
        summary: 'Show a user',
        description: 'By its id; the list finds the id of a name.',
        answer: UserSchema,
        example: userExample,
        refusals: [...guardRefusals, 'not_found'],
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
          ...locked,
          operationId: 'listSessions',
          summary: "List a user's sessions",
          description: 'The living ones, the latest used first.',
          answer: SessionListSchema,
          example: { items: [sessionExample], next: null },
          refusals: [...guardRefusals, 'not_found'],
        }),
      },
    )
}

function readPage({ limit = '50', after, q }: { limit?: string; after?: string; q?: string }) {
  const cursor = after === undefined ? undefined : Buffer.from(after, 'base64url')
  if (cursor && (!isUtf8(cursor) || cursor.includes(0)))
    throw new AppError('invalid_fields', 'The parameter after takes a `next` of this list.')
  return { limit: Number(limit), after: cursor?.toString(), search: q === '' ? undefined : q }
}

function page({ users, next }: Awaited<ReturnType<typeof listUsers>>): typeof UserPage.static {
  return {
    items: users.map((user) => presentUser(user)),
    next: next === undefined ? null : Buffer.from(next).toString('base64url'),
  }
}
