import { Elysia } from 'elysia'
import { listActivity } from '../../domain/history/activity.ts'
import { findPasswordChange } from '../../domain/history/passwordChange.ts'
import { listSessions } from '../../domain/sessions/sessions.ts'
import { accountPage } from '../../pages/account.tsx'
import { toActivityItem } from './activityPage.ts'
import { type PageServices, type SignedInPageRequest, signedInPage } from './pageRequest.ts'
import { pageResponse } from './pageResponse.ts'

const latest = 5

export function accountPageRoute(services: PageServices) {
  return new Elysia({ name: 'pages.account' }).get(
    '/account',
    signedInPage(services, 'account', (page) => show(services, page)),
    { detail: { hide: true } },
  )
}

async function show({ deps }: PageServices, { frame, principal, parameters }: SignedInPageRequest): Promise<Response> {
  const { user } = principal
  const [sessions, { activities }, passwordChangedAt] = await Promise.all([
    listSessions(deps, user.id),
    listActivity(deps, user.id, { limit: latest, after: undefined }),
    findPasswordChange(deps, user.id),
  ])
  return pageResponse(
    accountPage(frame, {
      username: user.username,
      fullName: user.full_name,
      roles: user.roles,
      passwordChangedAt,
      devices: sessions.length,
      activity: activities.map((activity) => toActivityItem(activity, user.id)),
      done: parameters.get('done') === 'password' ? 'password' : undefined,
    }),
  )
}
