import { Elysia } from 'elysia'
import { type Activity, listActivity } from '../../domain/history/activity.ts'
import { phraseOf } from '../../domain/history/phrases.ts'
import { type ActivityItem, activityPage } from '../../pages/activity.tsx'
import { createActivityCursor } from '../audit/activityCursor.ts'
import { type PageServices, signedInPage } from './pageRequest.ts'
import { pageResponse } from './pageResponse.ts'

const pageSize = 25

export function activityPageRoute(services: PageServices) {
  const { deps } = services
  const cursor = createActivityCursor(deps.settings.keys.secretKeys)
  return new Elysia({ name: 'pages.activity' }).get(
    '/account/activity',
    signedInPage(services, 'account/activity', async ({ frame, principal: { user }, parameters }) => {
      const after = parameters.get('after') ?? undefined
      const position = after === undefined ? undefined : cursor.read(after)
      const { activities, next } = await listActivity(deps, user.id, { limit: pageSize, after: position })
      const items = activities.map((activity) => toActivityItem(activity, user.id))
      const isFirst = after === undefined
      return pageResponse(activityPage(frame, { items, next: next && cursor.write(next), isFirst }))
    }),
    { detail: { hide: true } },
  )
}

export function toActivityItem(activity: Activity, userId: string): ActivityItem {
  return { time: activity.time, text: phraseOf(activity, userId), isRefusal: activity.outcome === 'refused' }
}
