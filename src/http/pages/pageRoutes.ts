import { Elysia } from 'elysia'
import { accountPageRoute } from './accountPage.ts'
import { activityPageRoute } from './activityPage.ts'
import { assetRoute } from './assets.ts'
import type { PageServices } from './pageRequest.ts'
import { passwordPageRoutes } from './passwordPage.ts'
import { refusedPageRoute } from './refusedPage.ts'
import { sessionsPageRoutes } from './sessionsPage.ts'
import { signInPageRoutes } from './signInPage.ts'
import { signOutPageRoutes } from './signOutPage.ts'

/** Unless PAGES=off. None has a guard: each checks its cookie in its handler. */
export const pageRouteNames: readonly string[] = [
  'GET /pages/:name',
  'GET /sign-in',
  'POST /sign-in',
  'GET /sign-out',
  'POST /sign-out',
  'GET /refused',
  'GET /account',
  'GET /account/password',
  'POST /account/password',
  'GET /account/sessions',
  'POST /account/sessions',
  'GET /account/activity',
]

/** The pages for people. Each checks its cookie itself, and sends others to sign in. */
export function pageRoutes(services: PageServices) {
  return new Elysia({ name: 'pages' })
    .use(assetRoute())
    .use(signInPageRoutes(services))
    .use(signOutPageRoutes(services))
    .use(refusedPageRoute(services))
    .use(accountPageRoute(services))
    .use(passwordPageRoutes(services))
    .use(sessionsPageRoutes(services))
    .use(activityPageRoute(services))
}
