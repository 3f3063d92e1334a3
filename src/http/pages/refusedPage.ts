import { Elysia } from 'elysia'
import { refusals, refusedPage } from '../../pages/refused.tsx'
import { openPage, type PageServices } from './pageRequest.ts'
import { pageResponse } from './pageResponse.ts'

/** The page for a 403 of a protected service, whose proxy names the reason as `step`. */
export function refusedPageRoute(services: PageServices) {
  return new Elysia({ name: 'pages.refused' }).get(
    '/refused',
    openPage(services, ({ frame, parameters, target }) => {
      const refusal = refusals.find((reason) => reason === parameters.get('step')) ?? 'role'
      return pageResponse(refusedPage(frame, { refusal, return: target }), { status: 403 })
    }),
    { detail: { hide: true } },
  )
}
