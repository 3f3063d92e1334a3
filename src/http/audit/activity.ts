import { Elysia } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { listActivity } from '../../domain/history/activity.ts'
import type { Guards } from '../auth/guard.ts'
import { pageOf, pageParameters, readPage, toPage } from '../input/page.ts'
import { queryParameters } from '../input/query.ts'
import { operation } from '../operation.ts'
import { createActivityCursor } from './activityCursor.ts'
import { ActivitySchema, activityExample } from './eventSchema.ts'

/** What the signed-in user did, and what was done to their account. */
export function activityRoute({ deps, guards }: { readonly deps: Deps; readonly guards: Guards }) {
  const cursor = createActivityCursor(deps.settings.keys.secretKeys)
  return new Elysia({ name: 'activity' }).use(guards.signedIn).get(
    '/auth/activity',
    async ({ principal, query }) => {
      const { activities, next } = await listActivity(deps, principal.user.id, readPage(query, cursor))
      return toPage([...activities], next, cursor)
    },
    {
      ...queryParameters(pageParameters),
      ...operation({
        operationId: 'listActivity',
        tag: 'Sessions',
        summary: 'List your activity',
        description:
          'What you did and what was done to your account, newest first. Of another actor, only the kind and the username are ' +
          'returned. A record appears about a second after it happened.',
        schema: pageOf(ActivitySchema),
        example: { items: [activityExample], next: null },
        errors: ['password_change_required', 'forbidden', 'invalid_fields'],
        isForUsers: true,
        acceptsCookie: true,
      }),
    },
  )
}
