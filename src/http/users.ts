import { isUtf8 } from 'node:buffer'
import { Elysia, t } from 'elysia'
import type { Deps } from '../domain/deps.ts'
import { presentUser } from '../domain/presentation.ts'
import {
  changeUser,
  createUser,
  deleteUser,
  endSessionsOf,
  listSessionsOf,
  listUsers,
  requireUser,
  resetPassword,
  type WithPassword,
} from '../domain/users.ts'
import { AppError } from '../error.ts'
import type { Guards } from './guard.ts'
import { jsonBody } from './json.ts'
import { creation, operation, silentOperation } from './openapi.ts'
import { byId } from './pathParameters.ts'
import { queryParameters } from './query.ts'
import { SessionList, sessionExample, shownSession } from './sessionList.ts'

// What they take is said here and judged in the domain, which knows how to say what is wrong.
const Roles = t.Array(t.String(), { description: 'up to 32 words of 1 to 32 of the characters a-z 0-9 _ -' })
const fullName = t.String({ description: '1 to 100 characters on one line' })

const ShownUser = t.Object({
  id: t.String({ format: 'uuid' }),
  username: t.String(),
  full_name: t.String(),
  is_active: t.Boolean(),
  roles: t.Array(t.String()),
  must_change_password: t.Boolean(),
  created_at: t.String({ format: 'date-time' }),
})
const UserWithPassword = t.Composite([
  ShownUser,
  t.Object({ one_time_password: t.Optional(t.String({ description: 'in the one answer that made it' })) }),
])
const UserPage = t.Object({ items: t.Array(ShownUser), next: t.Union([t.String(), t.Null()]) })

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

const bodyRefusals = ['invalid_request', 'payload_too_large', 'unsupported_media_type', 'invalid_fields'] as const
const locked = { tag: 'Users', isLocked: true as const }
const guarded = ['password_change_required', 'forbidden'] as const

const example: typeof ShownUser.static = {
  id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52',
  username: 'ada',
  full_name: 'Ada Lovelace',
  is_active: true,
  roles: ['billing'],
  must_change_password: true,
  created_at: '2026-01-31T08:00:00.000Z',
}

/** Administration of users, for whoever has the role `admin`. */
export function userRoutes({ deps, guards }: { readonly deps: Deps; readonly guards: Guards }) {
  return new Elysia({ name: 'users' })
    .use(guards.administrator)
    .post(
      '/users',
      async ({ principal, body, status }) =>
        status(201, withPassword(await createUser(deps, principal.user.username, body))),
      {
        ...jsonBody(NewUser),
        ...creation({
          ...locked,
          operationId: 'createUser',
          summary: 'Make a user',
          description: 'Without `password` a one-time one is made, which is in this answer and nowhere else.',
          answer: UserWithPassword,
          example: { ...example, one_time_password: 'k3mp7a-…' },
          refusals: [...guarded, ...bodyRefusals, 'conflict'],
        }),
      },
    )
    .get('/users', async ({ query }) => page(await listUsers(deps, readPage(query))), {
      ...queryParameters({
        limit: t.Optional(
          t.String({ pattern: '^([1-9][0-9]?|100)$', description: '1 to 100; 50 unless told otherwise' }),
        ),
        after: t.Optional(t.String({ maxLength: 300, description: 'the `next` of the page before' })),
        q: t.Optional(t.String({ maxLength: 100, description: 'a part of a name or full name' })),
      }),
      ...operation({
        ...locked,
        operationId: 'listUsers',
        summary: 'List users',
        description:
          'In the order of their names. `next` is null at the end, else what the next page takes as `after`.',
        answer: UserPage,
        example: { items: [example], next: null },
        refusals: [...guarded, 'invalid_fields'],
      }),
    })
    .get('/users/:id', async ({ params }) => presentUser(await requireUser(deps, params.id)), {
      ...byId,
      ...operation({
        ...locked,
        operationId: 'readUser',
        summary: 'Show a user',
        description: 'By its id; the list finds the id of a name.',
        answer: ShownUser,
        example,
        refusals: [...guarded, 'not_found'],
      }),
    })
    .patch(
      '/users/:id',
      async ({ principal, params, body }) =>
        presentUser(await changeUser(deps, principal.user.username, params.id, body)),
      {
        ...byId,
        ...jsonBody(UserChange),
        ...operation({
          ...locked,
          operationId: 'changeUser',
          summary: 'Change a user',
          description: 'What is left out stays. Disabling ends all sessions; the last active administrator stays one.',
          answer: ShownUser,
          example,
          refusals: [...guarded, ...bodyRefusals, 'not_found', 'conflict'],
        }),
      },
    )
    .delete(
      '/users/:id',
      async ({ principal, params }) => nothing(await deleteUser(deps, principal.user.username, params.id)),
      {
        ...byId,
        ...silentOperation({
          ...locked,
          operationId: 'deleteUser',
          summary: 'Delete a user',
          description: 'With all sessions. The last active administrator stays.',
          refusals: [...guarded, 'not_found', 'conflict'],
        }),
      },
    )
    .post(
      '/users/:id/password',
      async ({ principal, params, body }) =>
        withPassword(await resetPassword(deps, principal.user.username, params.id, body)),
      {
        ...byId,
        ...jsonBody(NewPassword),
        ...operation({
          ...locked,
          operationId: 'resetPassword',
          summary: 'Reset a password',
          description: 'With `{}` a one-time one is made. All sessions of the user end.',
          answer: UserWithPassword,
          example: { ...example, one_time_password: 'k3mp7a-…' },
          refusals: [...guarded, ...bodyRefusals, 'not_found'],
        }),
      },
    )
    .get(
      '/users/:id/sessions',
      async ({ principal, params }) => ({
        items: (await listSessionsOf(deps, params.id)).map((session) => shownSession(session, principal.sessionId)),
        next: null,
      }),
      {
        ...byId,
        ...operation({
          ...locked,
          operationId: 'listSessions',
          summary: "List a user's sessions",
          description: 'The living ones, the latest used first.',
          answer: SessionList,
          example: { items: [sessionExample], next: null },
          refusals: [...guarded, 'not_found'],
        }),
      },
    )
    .delete(
      '/users/:id/sessions',
      async ({ principal, params }) => nothing(await endSessionsOf(deps, principal.user.username, params.id)),
      {
        ...byId,
        ...silentOperation({
          ...locked,
          operationId: 'endSessions',
          summary: "End a user's sessions",
          description: 'All of them: the user is signed out everywhere.',
          refusals: [...guarded, 'not_found'],
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
