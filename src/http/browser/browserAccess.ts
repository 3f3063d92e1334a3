import type { Deps } from '../../domain/deps.ts'
import {
  type BrowserCredential,
  createBrowserSessions,
  endBrowserSession,
} from '../../domain/sessions/browserSessions.ts'
import { limitsOf } from '../../domain/sessions/sessionLimits.ts'
import type { Principal, Session } from '../../domain/sessions/sessions.ts'
import { login } from '../../domain/signIn/login.ts'
import { reportingFailure } from '../../domain/signIn/sideEffects.ts'
import { resolveUsername } from '../../domain/signIn/username.ts'
import { AppError } from '../../error.ts'
import type { DeviceCookies } from '../auth/deviceCookie.ts'
import type { CookieSessions, SetCookies } from '../auth/principal.ts'
import { recording } from '../edge/source.ts'
import { createOriginCheck, type OriginServices } from './originCheck.ts'
import { factsOf, forwardedFactsOf } from './sameOrigin.ts'
import { createSessionCookies } from './sessionCookie.ts'
import { createUnencryptedSignInLog } from './unencryptedSignIn.ts'

/** The cookie sessions of browsers, for the pages and the API. */
export interface BrowserAccess extends CookieSessions {
  /**
   * Returns whether a request comes from a page of its own origin, or from the user. Logs it if
   * not.
   */
  isSameOrigin(request: Request): boolean
  /** Returns the user and session of the cookie of a page, if it is honored. */
  findPrincipal(request: Request): Promise<Principal | undefined>
  /** Throws what `login` throws. Ends the former session of the browser. */
  signIn(request: Request, input: SignInInput): Promise<BrowserSignIn>
  /** Ends the session of the cookie, if there is one. */
  signOut(request: Request): Promise<SetCookies>
}

export interface SignInInput {
  readonly username: string
  readonly password: string
  /** Keep the session when the browser is closed. */
  readonly stay: boolean
  /** The route of the device cookie. Defaults to the page. */
  readonly route?: '/sign-in' | '/auth/session'
}

export interface BrowserSignIn extends SetCookies {
  readonly session: Session
  readonly mustChangePassword: boolean
}

export interface BrowserServices extends OriginServices {
  readonly deps: Deps
  readonly deviceCookies: DeviceCookies
}

export function createBrowserAccess(services: BrowserServices): BrowserAccess {
  const { deps, requestContexts } = services
  const { follows, logRejection } = createOriginCheck(services)
  const sessions = createBrowserSessions(deps)
  const cookies = createSessionCookies(deps.settings.keys.secretKeys)
  const warnIfUnencrypted = createUnencryptedSignInLog(deps.log)
  const isSecure = (request: Request) => requestContexts.of(request).isSecure
  const read = (request: Request) => cookies.read(request, isSecure(request))
  const check = async (request: Request, credential: BrowserCredential) => {
    const caller = () => ({
      deps: recording(deps, requestContexts, request),
      address: requestContexts.of(request).address,
    })
    const principal = await sessions.check(credential, caller)
    return principal && { ...principal, isForPasswordChange: false, isByCookie: true }
  }
  const find = async (request: Request, use: 'api' | 'verify') => {
    const credential = read(request)
    if (!credential) return undefined
    const isVerify = use === 'verify'
    const facts = isVerify ? forwardedFactsOf(request) : factsOf(request)
    if (follows(request, facts, isVerify)) return check(request, credential)
    logRejection(request, facts, credential.sessionId)
    throw otherOrigin()
  }
  const expire = (request: Request) => ({ setCookies: [cookies.expire(isSecure(request))] })

  /** Another sign-in of the browser replaces the session. */
  const endFormer = async (request: Request, { id }: Session): Promise<void> => {
    const former = read(request)
    if (!former || former.sessionId === id) return
    const principal = await check(request, former)
    if (principal) await endBrowserSession(recording(deps, requestContexts, request), principal)
  }

  return {
    find,
    expire,
    isSameOrigin: (request) => {
      const facts = factsOf(request)
      const isSame = follows(request, facts, false)
      if (!isSame) logRejection(request, facts, read(request)?.sessionId)
      return isSame
    },
    findPrincipal: async (request) => {
      const credential = read(request)
      return credential && follows(request, factsOf(request), true) ? check(request, credential) : undefined
    },
    renew: async (request) => {
      const credential = read(request)
      const renewed = credential && (await sessions.renew(credential))
      return { setCookies: renewed ? [cookies.set(renewed, isSecure(request))] : [] }
    },
    signIn: async (request, input) => {
      const kind = input.stay ? 'persistent' : 'browser'
      const { session, deviceCookie } = await startSession(services, request, input, kind)
      warnIfUnencrypted(requestContexts.of(request))
      await reportingFailure(deps, session.user, 'end_former_session', () => endFormer(request, session))
      const maxAge = input.stay ? limitsOf(deps.settings, kind).lifetime / 1000 : undefined
      const cookie = cookies.set({ sessionId: session.id, generation: 0, maxAge }, isSecure(request))
      const { must_change_password: mustChangePassword } = session.user
      return { session, mustChangePassword, setCookies: [cookie, deviceCookie] }
    },
    signOut: async (request) => {
      const credential = read(request)
      const principal = credential && (await check(request, credential))
      if (principal) await endBrowserSession(recording(deps, requestContexts, request), principal)
      return expire(request)
    },
  }
}

export function otherOrigin(): AppError {
  return new AppError('forbidden', 'The session cookie is accepted only from pages of the same origin.')
}

async function startSession(
  { deps, deviceCookies, requestContexts }: BrowserServices,
  request: Request,
  { username: entered, password, route = '/sign-in' }: SignInInput,
  sessionKind: 'browser' | 'persistent',
) {
  const username = await resolveUsername(deps, entered)
  const throttleSubject = deviceCookies.subjectOf(request, username)
  const input = {
    username,
    password,
    sessionKind,
    address: requestContexts.of(request).address,
    userAgent: request.headers.get('user-agent') ?? undefined,
    throttleSubject,
    signal: requestContexts.signalOf(request),
  }
  const session = await login(recording(deps, requestContexts, request), input, async (started) => started)
  return { session, deviceCookie: deviceCookies.setCookie(request, throttleSubject, route) }
}
