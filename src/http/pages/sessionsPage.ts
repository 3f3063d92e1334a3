import { Elysia } from 'elysia'
import { presentSession } from '../../domain/presentation.ts'
import { endSession, listSessions } from '../../domain/sessions/sessions.ts'
import { AppError } from '../../error.ts'
import { sessionsPage } from '../../pages/sessions.tsx'
import { isUuid } from '../../uuid.ts'
import { recording } from '../edge/source.ts'
import { type PageServices, readPageForm, type SignedInPageRequest, signedInPage } from './pageRequest.ts'
import { pageResponse, redirectTo } from './pageResponse.ts'

const path = 'account/sessions'

export function sessionsPageRoutes(services: PageServices) {
  return new Elysia({ name: 'pages.sessions' })
    .get(
      '/account/sessions',
      signedInPage(services, path, (page) => show(services, page)),
      { detail: { hide: true } },
    )
    .post(
      '/account/sessions',
      signedInPage(services, path, (page) => end(services, page)),
      {
        parse: 'none',
        detail: { hide: true },
      },
    )
}

const allDone = ['one', 'others'] as const

async function show({ deps }: PageServices, page: SignedInPageRequest, isGone = false): Promise<Response> {
  const { frame, principal, parameters } = page
  const sessions = await listSessions(deps, principal.user.id)
  const devices = sessions.map((session) => ({
    ...presentSession(session),
    isCurrent: session.id === principal.sessionId,
  }))
  const sorted = devices.toSorted((one, other) => Number(other.isCurrent) - Number(one.isCurrent))
  const done = allDone.find((name) => name === parameters.get('done'))
  return pageResponse(sessionsPage(frame, { devices: sorted, done, isGone }), { status: isGone ? 404 : 200 })
}

async function end(services: PageServices, page: SignedInPageRequest): Promise<Response> {
  const { deps, requestContexts } = services
  const { request, frame, principal } = page
  const { form } = await readPageForm(services, request)
  const source = recording(deps, requestContexts, request)
  if (form.end !== 'others') {
    const hasEnded = isUuid(form.end ?? '') && (await endIfActive(source, principal.user, form.end ?? ''))
    return hasEnded ? redirectTo(frame, path, { done: 'one' }) : show(services, page, true)
  }
  const others = (await listSessions(deps, principal.user.id)).filter(({ id }) => id !== principal.sessionId)
  for (const { id } of others) await endIfActive(source, principal.user, id)
  return redirectTo(frame, path, { done: 'others' })
}

async function endIfActive(...[deps, user, id]: Parameters<typeof endSession>): Promise<boolean> {
  try {
    await endSession(deps, user, id)
    return true
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return false
    throw error
  }
}
