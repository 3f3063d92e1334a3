import { Elysia } from 'elysia'
import { partyOf } from '../../domain/audit/record.ts'
import { changePassword } from '../../domain/signIn/changePassword.ts'
import { AppError } from '../../error.ts'
import { type PasswordError, passwordPage } from '../../pages/password.tsx'
import { recording } from '../edge/source.ts'
import { statusOf } from '../problem.ts'
import { type PageServices, readPageForm, type SignedInPageRequest, signedInPage } from './pageRequest.ts'
import { headersOf, pageResponse, redirect, redirectTo } from './pageResponse.ts'
import { signInErrorOf } from './signInPage.ts'

const path = 'account/password'

export function passwordPageRoutes(services: PageServices) {
  const { deps } = services
  const show = (page: SignedInPageRequest) => pageResponse(passwordPage(page.frame, dataOf(deps.settings, page, [])))
  return new Elysia({ name: 'pages.password' })
    .get('/account/password', signedInPage(services, path, show), { detail: { hide: true } })
    .post(
      '/account/password',
      signedInPage(services, path, (page) => change(services, page)),
      {
        parse: 'none',
        detail: { hide: true },
      },
    )
}

async function change(services: PageServices, page: SignedInPageRequest): Promise<Response> {
  const { deps, requestContexts, browserAccess } = services
  const { request, frame, principal } = page
  const { form, target } = await readPageForm(services, request)
  const answered = { ...page, target }
  const { current_password: current, new_password: next } = form
  const missing: PasswordError[] = [
    ...(current === undefined ? [{ kind: 'missingCurrent' } as const] : []),
    ...(next === undefined ? [{ kind: 'missingNext' } as const] : []),
  ]
  if (current === undefined || next === undefined)
    return pageResponse(passwordPage(frame, dataOf(deps.settings, answered, missing)), { status: 422 })
  try {
    const by = partyOf(principal.user, principal.sessionId)
    await changePassword(recording(deps, requestContexts, request, by), principal, {
      current,
      next,
      address: requestContexts.of(request).address,
      signal: requestContexts.signalOf(request),
    })
  } catch (error) {
    const errors = passwordErrorsOf(error)
    if (errors.length === 0 || !(error instanceof AppError)) throw error
    const init = { status: statusOf(error.code), headers: headersOf(error) }
    return pageResponse(passwordPage(frame, dataOf(deps.settings, answered, errors)), init)
  }
  const { setCookies } = await browserAccess.renew(request)
  if (target !== undefined) return redirect(target, { setCookies })
  return redirectTo(frame, 'account', { done: 'password' }, { setCookies })
}

function dataOf(
  { passwordMinLength }: PageServices['deps']['settings'],
  { principal: { user }, target }: SignedInPageRequest,
  errors: readonly PasswordError[],
) {
  const { username, must_change_password: isForced } = user
  return { username, minLength: passwordMinLength, isForced, errors, return: target }
}

/** Returns nothing for an error that the page does not show. */
function passwordErrorsOf(error: unknown): readonly PasswordError[] {
  if (!(error instanceof AppError)) return []
  if (error.code === 'conflict') return [{ kind: 'conflict' }]
  if (error.code === 'invalid_fields')
    return error.fields.map(({ field, message }) =>
      field === 'current_password' ? { kind: 'wrongCurrent' } : { kind: 'badNext', rule: message },
    )
  const shared = signInErrorOf(error)
  return shared && shared.kind !== 'incorrect' && shared.kind !== 'missing' ? [shared as PasswordError] : []
}
