import { Elysia } from 'elysia'
import { refusals, refusedPage } from '../../pages/refused.tsx'
import { openPage, type PageServices } from './pageRequest.ts'
import { pageResponse } from './pageResponse.ts'

/** The page for a 403 of a protected service, whose proxy names the reason as `step`. */
export function refusedPageRoute(services: PageServices) {
  return new Elysia({ name: 'pages.refused' }).get(
    '/refused',
    openPage(services, ({ frame, principal, parameters, target }) => {
      // A proxy cannot tell a missing role from a password that must be changed.
      const isForced = principal?.user.must_change_password === true
      const reason = refusals.find((known) => known === parameters.get('step')) ?? 'role'
      const refusal = isForced && reason === 'role' ? 'password' : reason
      return pageResponse(refusedPage(frame, { refusal, return: target }), { status: 403 })
    }),
    { detail: { hide: true } },
  )
}
