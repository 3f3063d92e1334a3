import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { presentLockout } from '../../domain/presentation.ts'
import { liftLockout, liftLockoutsOfUser, listLockouts } from '../../domain/signIn/lockouts.ts'
import { type Guards, guardRefusals } from '../auth/guard.ts'
import { readMomentCursor, writeMomentCursor } from '../input/cursor.ts'
import { byId } from '../input/pathParameters.ts'
import { pageParameters, queryParameters } from '../input/query.ts'
import { operation, silentOperation } from '../operation.ts'

const ShownBlock = t.Object({
  id: t.String({ format: 'uuid' }),
  kind: t.UnionEnum(['network', 'account', 'client', 'device', 'session'], {
    description:
      'who waits: a whole network; an account on every device that it does not know; an account from one network; on a device that ' +
      'it knows; or whoever is signed in and does not know the current password',
  }),
  username: t.Union([t.String({ description: 'of an account that exists' }), t.Null()]),
  network: t.Union([t.String({ description: 'IPv4 address or IPv6 /64' }), t.Null()]),
  failures: t.Number(),
  last_failed_at: t.String({ format: 'date-time' }),
  blocked_until: t.String({ format: 'date-time' }),
})
const BlockPage = t.Object({ items: t.Array(ShownBlock), next: t.Union([t.String(), t.Null()]) })

const example: typeof ShownBlock.static = {
  id: '0c5f7f6e-3d3a-4f0e-8f56-3f0f0d2b7f3a',
  kind: 'client',
  username: 'ada',
  network: '198.51.100.7',
  failures: 9,
  last_failed_at: '2026-01-31T08:00:00.000Z',
  blocked_until: '2026-01-31T08:00:08.000Z',
}

const locked = { tag: 'Users', isLocked: true as const }

/** Who has to wait after failed sign-ins, and how to let them in, for whoever has the role `admin`. */
export function lockoutRoutes({ deps, guards }: { readonly deps: Deps; readonly guards: Guards }) {
  return new Elysia({ name: 'blocks' })
    .use(guards.administrator)
    .get('/blocks', async ({ query }) => page(await listLockouts(deps, readPage(query))), {
      ...queryParameters(pageParameters),
      ...operation({
        ...locked,
        operationId: 'listBlocks',
        summary: 'Who has to wait?',
        description:
          'After too many failed sign-ins: who has to wait before the next attempt, the latest failure first. A page may hold less ' +
          'than `limit` and have a next one.',
        answer: BlockPage,
        example: { items: [example], next: null },
        refusals: [...guardRefusals, 'invalid_request', 'invalid_fields'],
      }),
    })
    .delete(
      '/blocks/:id',
      async ({ principal, params }) => {
        await liftLockout(deps, principal.user.username, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...silentOperation({
          ...locked,
          operationId: 'liftBlock',
          summary: 'Lift a block',
          description: 'Forgets the failures behind it.',
          refusals: [...guardRefusals, 'not_found'],
        }),
      },
    )
    .delete(
      '/users/:id/blocks',
      async ({ principal, params }) => {
        await liftLockoutsOfUser(deps, principal.user.username, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...silentOperation({
          ...locked,
          operationId: 'liftBlocksOfUser',
          summary: "Lift a user's blocks",
          description: 'Forgets all failures at this account, from wherever they came. A block of the network stays.',
          refusals: [...guardRefusals, 'not_found'],
        }),
      },
    )
}

function page({ lockouts: blocks, next }: Awaited<ReturnType<typeof listLockouts>>): typeof BlockPage.static {
  return {
    items: blocks.map(presentLockout),
    next: next ? writeMomentCursor({ moment: next.lastFailedAt, id: next.id }) : null,
  }
}

function readPage({ limit = '50', after }: { limit?: string; after?: string }) {
  const cursor = after === undefined ? undefined : readMomentCursor(after)
  return { limit: Number(limit), after: cursor && { lastFailedAt: cursor.moment, id: cursor.id } }
}
