import { Elysia } from 'elysia'
import { signOutPage } from '../../pages/signOut.tsx'
import { openPage, type PageRequest, type PageServices, readPageForm } from './pageRequest.ts'
import { pageResponse, redirectTo } from './pageResponse.ts'

export function signOutPageRoutes(services: PageServices) {
  return new Elysia({ name: 'pages.signOut' })
    .get(
      '/sign-out',
      openPage(services, ({ frame }) => pageResponse(signOutPage(frame))),
      { detail: { hide: true } },
    )
    .post(
      '/sign-out',
      openPage(services, (page) => signOut(services, page)),
      { parse: 'none', detail: { hide: true } },
    )
}

async function signOut(services: PageServices, { request, frame }: PageRequest): Promise<Response> {
  const { target } = await readPageForm(services, request)
  const { setCookies } = await services.browserAccess.signOut(request)
  const query = target === undefined ? { done: 'out' } : { return: target }
  return redirectTo(frame, 'sign-in', query, { setCookies, headers: { 'clear-site-data': '"cache"' } })
}
