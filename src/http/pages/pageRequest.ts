import type { Deps } from '../../domain/deps.ts'
import type { Principal } from '../../domain/sessions/sessions.ts'
import { AppError } from '../../error.ts'
import type { Frame } from '../../pages/frame.ts'
import { type PagePath, pagePaths } from '../../pages/link.ts'
import { refusedPage } from '../../pages/refused.tsx'
import type { BrowserAccess } from '../browser/browserAccess.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { pathOf } from '../edge/requestTarget.ts'
import { readForm } from '../input/form.ts'
import { assetNames } from './assets.ts'
import { pageResponse, problemPageResponse, redirectTo } from './pageResponse.ts'
import { readPageQuery, returnTarget } from './returnTarget.ts'

export interface PageServices {
  readonly deps: Deps
  readonly requestContexts: RequestContexts
  readonly browserAccess: BrowserAccess
  readonly basePath: string
  /** PAGE_TITLE. */
  readonly pageTitle: string
}

/** A request for a page, with who sent it. */
export interface PageRequest {
  readonly request: Request
  readonly frame: Frame
  readonly principal: Principal | undefined
  readonly parameters: URLSearchParams
  /** The result of `returnTarget` for the query. */
  readonly target: string | undefined
}

export interface SignedInPageRequest extends PageRequest {
  readonly principal: Principal
}

type Handle<Kind> = (page: Kind) => Response | Promise<Response>
type RouteHandler = (context: { readonly request: Request }) => Promise<Response>

/** Returns a handler whose errors are pages. A form of another site gets 403 before it is read. */
export function openPage(services: PageServices, handle: Handle<PageRequest>): RouteHandler {
  return async ({ request }) => {
    const { browserAccess, basePath, deps, requestContexts } = services
    const { requestId } = requestContexts.of(request)
    const frame = frameOf(services, request)
    try {
      if (!isSafe(request) && !browserAccess.isSameOrigin(request))
        return pageResponse(refusedPage(frame, { refusal: 'origin' }), { status: 403 })
      const principal = await browserAccess.findPrincipal(request)
      const { parameters, target } = readPageQuery(request.url)
      const page = { request, frame: { ...frame, user: principal?.user }, principal, parameters }
      return await handle({ ...page, target: returnTarget(target, basePath) })
    } catch (error) {
      return problemPageResponse(error, { frame, requestId, log: deps.log })
    }
  }
}

/** Returns a handler for signed-in users. Others are sent to sign in and back. */
export function signedInPage(
  services: PageServices,
  page: PagePath,
  handle: Handle<SignedInPageRequest>,
): RouteHandler {
  return openPage(services, async (opened) => {
    const { request, frame, principal, target } = opened
    if (!principal) {
      const done = isSafe(request) ? undefined : 'expired'
      return redirectTo(frame, 'sign-in', { done, page, return: target })
    }
    if (principal.user.must_change_password && page !== 'account/password') return redirectTo(frame, 'account/password')
    try {
      return await handle({ ...opened, principal })
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'invalid_token') throw error
      return redirectTo(frame, 'sign-in', { done: 'expired', page })
    }
  })
}

/** Returns the fields of a form, with the targets that they name. */
export async function readPageForm({ basePath }: PageServices, request: Request) {
  const form = await readForm(request, 'Send the form of the page.')
  return { form, target: returnTarget(form.return ?? '', basePath), page: pageOf(form.page) }
}

export function pageOf(text: string | null | undefined): PagePath | undefined {
  return pagePaths.find((page) => page === text && page.startsWith('account'))
}

function frameOf({ basePath, pageTitle, requestContexts }: PageServices, request: Request): Frame {
  const host = request.headers.get('host') ?? ''
  return {
    language: 'en',
    title: pageTitle,
    host,
    isEncrypted: requestContexts.of(request).isSecure || isLocal(host),
    path: pathOf(request.url).slice(basePath.length),
    assets: assetNames,
    user: undefined,
  }
}

function isLocal(host: string): boolean {
  return /^(localhost|[^:]+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(host)
}

function isSafe({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD'
}
