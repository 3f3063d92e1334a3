import { Elysia } from 'elysia'
import { type ApiKeyCheck, actorOf, type RequiredAccess } from '../../domain/apiKeys/apiKeyCheck.ts'
import { looksLikeApiKey } from '../../domain/apiKeys/apiKeyFormat.ts'
import { recordRefusal } from '../../domain/audit/audited.ts'
import { partyOf } from '../../domain/audit/record.ts'
import type { Actor } from '../../domain/users/actor.ts'
import { AppError } from '../../error.ts'
import { recording, sourceOf } from '../edge/source.ts'
import { bearerToken, clientSecret, hasBearer } from './authorization.ts'
import {
  type CookieSessions,
  type PrincipalServices,
  requireAdministratorStill,
  requirePrincipal,
  requireUnquarantined,
  type TokenPrincipal,
} from './principal.ts'

/** Error codes of the guards for users, besides 401. */
export const guardErrors = ['password_change_required', 'forbidden'] as const

export type Guards = ReturnType<typeof createGuards>

export interface GuardServices extends PrincipalServices {
  readonly apiKeys: ApiKeyCheck
  /** Undefined with PAGES=off. */
  readonly browserAccess?: CookieSessions | undefined
}

/** The caller of a route for administrators: a user or a service. */
export interface UserAdministrator {
  readonly actor: Actor
  /** Undefined for a service. */
  readonly sessionId: string | undefined
  /** Throws `invalid_token` once the session or the API key no longer grants this access. */
  readonly requireStill: () => Promise<void>
}

/**
 * Each guard adds the `principal` to the context of its routes, or throws `not_authenticated`,
 * `invalid_token`, `password_change_required` or `forbidden`. Only `anyUser` and `signedIn` accept
 * a cookie, unless there is a bearer token. Create them once: Elysia identifies plugins by name.
 */
export function createGuards(services: GuardServices) {
  const { apiKeys, requestContexts, browserAccess } = services
  const userOf = (request: Request, credential: string | undefined) => {
    if (looksLikeApiKey(credential)) return apiKeys.reject(credential, sourceOf(requestContexts, request))
    return requirePrincipal(services, request, credential)
  }
  const tokenUser = (request: Request) => userOf(request, bearerToken(request))
  const cookieUser = async (request: Request, access: CookieSessions) =>
    (await access.find(request, 'api')) ?? tokenUser(request)
  const anyUser = (request: Request) => {
    const credential = bearerToken(request)
    return browserAccess && !credential && !hasBearer(request)
      ? cookieUser(request, browserAccess)
      : userOf(request, credential)
  }
  const unquarantined = async (request: Request, user: Promise<TokenPrincipal>) =>
    requireUnquarantined(services, request, await user, 'invalid_token')
  const signedIn = (request: Request) => unquarantined(request, anyUser(request))
  const signedInByToken = (request: Request) => unquarantined(request, tokenUser(request))
  const administrator = async (request: Request) =>
    requireAdministrator(services, request, await signedInByToken(request))
  const requireKey = (apiKey: string, access: RequiredAccess, request: Request) =>
    apiKeys.require(apiKey, access, sourceOf(requestContexts, request))
  const administratorOrKey =
    (access: RequiredAccess) =>
    async (request: Request): Promise<UserAdministrator> => {
      const credential = bearerToken(request)
      if (looksLikeApiKey(credential)) {
        const requireStill = async () => void (await requireKey(credential, access, request))
        return { actor: actorOf(await requireKey(credential, access, request)), sessionId: undefined, requireStill }
      }
      const { user, sessionId } = await administrator(request)
      const party = partyOf(user, sessionId)
      const requireStill = () => requireAdministratorStill(services, user, sessionId)
      return { actor: { name: user.username, canManageAdministrators: true, party }, sessionId, requireStill }
    }
  const introspector = async (request: Request) => {
    const secret = clientSecret(request)
    if (secret !== undefined) return requireKey(secret, 'introspect', request).catch(throwAsInvalidClient)
    const credential = bearerToken(request)
    if (looksLikeApiKey(credential)) return requireKey(credential, 'introspect', request)
    await signedInByToken(request)
    throw new AppError('forbidden', 'This endpoint requires an API key with the scope introspect, not a user token.')
  }
  return {
    /** Accepts quarantined users too. */
    anyUser: createGuard('guard.anyUser', anyUser),
    signedIn: createGuard('guard.signedIn', signedIn),
    administrator: createGuard('guard.administrator', administrator),
    userReader: createGuard('guard.userReader', administratorOrKey('users:read')),
    userWriter: createGuard('guard.userWriter', administratorOrKey('users:write')),
    auditReader: createGuard('guard.auditReader', administratorOrKey('audit:read')),
    introspector: createGuard('guard.introspector', introspector),
  }
}

const guardHooks = new WeakSet<object>()

/** Authenticates once per request, before the body is read: a malformed body never hides a 401. */
function createGuard<Name extends string, Caller>(name: Name, authenticate: (request: Request) => Promise<Caller>) {
  // Only of requests with a body.
  const callers = new WeakMap<Request, Promise<Caller>>()
  const addPrincipal = async ({ request }: { request: Request }) => ({
    principal: await (callers.get(request) ?? authenticate(request)),
  })
  guardHooks.add(addPrincipal)
  return new Elysia({ name })
    .onParse({ as: 'scoped' }, async ({ request }) => {
      const caller = authenticate(request)
      callers.set(request, caller)
      await caller
    })
    .derive({ as: 'scoped' }, addPrincipal)
}

export interface ComposedRoute {
  readonly method: string
  readonly path: string
  readonly hooks: { readonly transform?: unknown }
}

/** Returns whether one of the guards runs before the handler of a route. */
export function isGuarded({ hooks }: ComposedRoute): boolean {
  const transforms: readonly { readonly fn?: object }[] = [hooks.transform ?? []].flat()
  return transforms.some(({ fn }) => fn !== undefined && guardHooks.has(fn))
}

async function requireAdministrator(
  { deps, requestContexts }: PrincipalServices,
  request: Request,
  principal: TokenPrincipal,
): Promise<TokenPrincipal> {
  const { user, sessionId } = principal
  if (user.roles.includes('admin')) return principal
  const by = partyOf(user, sessionId)
  const { address } = requestContexts.of(request)
  const event = { event: 'administration.forbidden', username: user.username, address } as const
  await recordRefusal(recording(deps, requestContexts, request, by), { event, by })
  throw new AppError('forbidden', 'This endpoint requires the role admin.')
}

/** Replaces `invalid_token` by the code of RFC 6749 §5.2 for a bad client secret. */
function throwAsInvalidClient(error: unknown): never {
  if (!(error instanceof AppError) || error.code !== 'invalid_token') throw error
  throw new AppError('invalid_client', 'The client secret is not a valid API key.')
}
