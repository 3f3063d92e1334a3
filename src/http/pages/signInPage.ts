import { Elysia } from 'elysia'
import { AppError } from '../../error.ts'
import { refusedPage } from '../../pages/refused.tsx'
import { type SignInData, type SignInError, signInPage } from '../../pages/signIn.tsx'
import type { Texts } from '../../pages/texts.ts'
import { pathOf } from '../edge/requestTarget.ts'
import { statusOf } from '../problem.ts'
import { openPage, type PageRequest, type PageServices, pageOf, readPageForm } from './pageRequest.ts'
import { headersOf, pageResponse, redirect, redirectTo } from './pageResponse.ts'
import { countReturn } from './redirectLoop.ts'

export function signInPageRoutes(services: PageServices) {
  return new Elysia({ name: 'pages.signIn' })
    .get(
      '/sign-in',
      openPage(services, (page) => showSignIn(services, page)),
      { detail: { hide: true } },
    )
    .post(
      '/sign-in',
      openPage(services, (page) => signIn(services, page)),
      { parse: 'none', detail: { hide: true } },
    )
}

function showSignIn(services: PageServices, opened: PageRequest): Response {
  const { request, frame, principal, parameters, target } = opened
  const page = pageOf(parameters.get('page'))
  if (principal) {
    if (principal.user.must_change_password) return redirectTo(frame, 'account/password', { return: target })
    return target === undefined ? redirectTo(frame, page ?? 'account') : returnTo(services, opened, target)
  }
  if (hasLostCookie(request))
    return pageResponse(refusedPage(frame, { refusal: 'cookie', return: target }), { status: 403 })
  const done = doneOf(parameters.get('done'))
  return pageResponse(signInPage(frame, { ...defaultsOf(services), done, return: target, page }))
}

function returnTo({ requestContexts }: PageServices, { request, frame }: PageRequest, target: string): Response {
  const { isLoop, setCookie } = countReturn(request, target, requestContexts.of(request).isSecure)
  if (!isLoop) return redirect(target, { setCookies: [setCookie] })
  const html = refusedPage(frame, { refusal: 'loop', return: target })
  return pageResponse(html, { status: 403, setCookies: [setCookie] })
}

/**
 * Only a sign-in that succeeded leads from the sign-in page to itself. Back and reload may repeat
 * its `Referer`, but no user activation.
 */
function hasLostCookie({ url, headers }: Request): boolean {
  const referrer = URL.parse(headers.get('referer') ?? '')
  const isOwn = referrer !== null && referrer.host === headers.get('host')
  // A proxy may have stripped a prefix.
  const isFromSignIn = isOwn && referrer.pathname.endsWith(pathOf(url))
  return isFromSignIn && headers.get('sec-fetch-user') === '?1' && headers.get('sec-fetch-site') === 'same-origin'
}

async function signIn(services: PageServices, { request, frame }: PageRequest): Promise<Response> {
  const { form, target, page } = await readPageForm(services, request)
  const { username, password } = form
  const stay = form.stay === 'true'
  const data = { ...defaultsOf(services), username, stay, return: target, page }
  if (username === undefined || password === undefined)
    return pageResponse(signInPage(frame, { ...data, error: { kind: 'missing' } }), { status: 422 })
  try {
    const { mustChangePassword, setCookies } = await services.browserAccess.signIn(request, {
      username,
      password,
      stay,
    })
    if (mustChangePassword) return redirectTo(frame, 'account/password', { return: target }, { setCookies })
    return target === undefined
      ? redirectTo(frame, page ?? 'account', {}, { setCookies })
      : redirect(target, { setCookies })
  } catch (error) {
    const shown = signInErrorOf(error)
    if (!shown || !(error instanceof AppError)) throw error
    const init = { status: statusOf(error.code), headers: headersOf(error) }
    return pageResponse(signInPage(frame, { ...data, error: shown }), init)
  }
}

/** Returns undefined for an error that the sign-in page does not show. */
export function signInErrorOf(error: unknown): SignInError | undefined {
  if (!(error instanceof AppError)) return undefined
  switch (error.code) {
    case 'invalid_credentials':
      return { kind: 'incorrect' }
    case 'too_many_attempts':
      return { kind: 'throttled', seconds: error.retryAfter ?? 1 }
    case 'overloaded':
      return { kind: 'busy' }
    case 'unavailable':
    case 'refused':
      return { kind: 'unavailable' }
    default:
      return undefined
  }
}

function defaultsOf({ deps }: PageServices): Pick<SignInData, 'stayDays'> {
  return { stayDays: deps.settings.refreshLifetimeDays }
}

const allDone: readonly (keyof Texts['signIn']['done'])[] = ['out', 'out_everywhere', 'expired', 'password']

function doneOf(text: string | null) {
  return allDone.find((done) => done === text)
}
