import { Elysia, t } from 'elysia'
import { partyOf } from '../../domain/audit/record.ts'
import { presentLockout } from '../../domain/presentation.ts'
import { liftLockout, liftLockoutsOfUser, listLockouts } from '../../domain/signIn/lockouts.ts'
import { guardErrors } from '../auth/guard.ts'
import type { TokenPrincipal } from '../auth/principal.ts'
import { recording } from '../edge/source.ts'
import { timeCursor } from '../input/cursor.ts'
import { pageOf, pageParameters, readPage, toPage } from '../input/page.ts'
import { byId } from '../input/pathParameters.ts'
import { queryParameters } from '../input/query.ts'
import { emptyOperation, operation } from '../operation.ts'
import { constrained, named, uuid } from '../schema.ts'
import type { UserChangeServices as AdministrationServices } from './userChanges.ts'

export const Block = named(
  'Lockout',
  t.Object({
    id: uuid(),
    kind: t.UnionEnum(['network', 'account', 'client', 'device', 'session'], {
      description:
        'What is locked out: `network`, all sign-ins from a network; `account`, sign-ins to an account from unknown devices; ' +
        '`client`, sign-ins to an account from one network; `device`, sign-ins to an account from a known device; `session`, ' +
        'password changes by a signed-in user.',
    }),
    username: t.Union([t.String({ description: 'Null if no such account exists.' }), t.Null()]),
    network: t.Union([
      constrained(t.String({ description: 'An IPv4 address or an IPv6 /64 network.' }), {
        minLength: 7,
        maxLength: 45,
      }),
      t.Null(),
    ]),
    failures: constrained(t.Number(), { minimum: 0 }),
    last_failed_at: t.String({ format: 'date-time' }),
    blocked_until: t.String({ format: 'date-time' }),
  }),
)
const BlockPage = pageOf(Block)

const example: typeof Block.static = {
  id: '0c5f7f6e-3d3a-4f0e-8f56-3f0f0d2b7f3a',
  kind: 'client',
  username: 'ada',
  network: '198.51.100.7',
  failures: 9,
  last_failed_at: '2026-01-31T08:00:00.000Z',
  blocked_until: '2026-01-31T08:00:08.000Z',
}

const cursor = timeCursor('lastFailedAt')

const administration = { tag: 'Users', isForUsers: true } as const

/** Lockouts after failed sign-ins, for administrators. */
export function lockoutRoutes({ deps, guards, requestContexts }: AdministrationServices) {
  const by = ({ user, sessionId }: TokenPrincipal, request: Request) =>
    recording(deps, requestContexts, request, partyOf(user, sessionId))
  return new Elysia({ name: 'blocks' })
    .use(guards.administrator)
    .get(
      '/blocks',
      async ({ query }) => {
        const { lockouts, next } = await listLockouts(deps, readPage(query, cursor))
        return toPage(lockouts.map(presentLockout), next, cursor)
      },
      {
        ...queryParameters(pageParameters),
        ...operation({
          ...administration,
          operationId: 'listBlocks',
          summary: 'List blocks',
          description:
            'Accounts and networks that are locked out after too many failed sign-ins, latest failure first. A page can have ' +
            'fewer than `limit` items and still have a next page.',
          schema: BlockPage,
          example: { items: [example], next: null },
          errors: [...guardErrors, 'invalid_request', 'invalid_fields'],
        }),
      },
    )
    .delete(
      '/blocks/:id',
      async ({ principal, params, request }) => {
        await liftLockout(by(principal, request), principal.user.username, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...emptyOperation({
          ...administration,
          operationId: 'liftBlock',
          summary: 'Lift a block',
          description: 'Ends the block and resets its failures.',
          errors: [...guardErrors, 'not_found'],
        }),
      },
    )
    .delete(
      '/users/:id/blocks',
      async ({ principal, params, request }) => {
        await liftLockoutsOfUser(by(principal, request), principal.user.username, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...emptyOperation({
          ...administration,
          operationId: 'liftBlocksOfUser',
          summary: "Lift a user's blocks",
          description: 'Ends all blocks of the account and resets its failures. Blocks of whole networks stay.',
          errors: [...guardErrors, 'not_found'],
        }),
      },
    )
}
