import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Elysia } from 'elysia'
import { createApiKeyCheck } from '../../../src/domain/apiKeys/apiKeyCheck.ts'
import { createDeviceCookies } from '../../../src/http/auth/deviceCookie.ts'
import { createForwardAuth } from '../../../src/http/auth/forwardAuth.ts'
import { createGuards, type Guards } from '../../../src/http/auth/guard.ts'
import { requireLockedByDefault } from '../../../src/http/auth/lockedByDefault.ts'
import { createOpenStreams } from '../../../src/http/edge/openStreams.ts'
import { createRequestContexts } from '../../../src/http/edge/requestContext.ts'
import { createRoutes, openRoutes, type RouteServices } from '../../../src/http/routes.ts'
import { createAccessTokens } from '../../../src/http/tokens/accessTokens.ts'
import { createRefreshTokens } from '../../../src/http/tokens/refreshTokens.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'

let application: TestApplication
let services: RouteServices
let guards: Guards
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  const { deps, http } = application
  const { keyRing } = http
  const place = { basePath: '/api', issuer: 'audittrail', audience: 'audittrail' }
  const { secretKeys } = deps.settings.keys
  const requestContexts = createRequestContexts()
  const tokens = createAccessTokens({ ...place, keyRing }, deps.clock)
  const apiKeys = createApiKeyCheck(deps)
  services = {
    ...place,
    deps,
    tokens,
    apiKeys,
    keyRing,
    requestContexts,
    openStreams: createOpenStreams(),
    methodsOf: () => [],
    forwardAuth: createForwardAuth({ deps, tokens, apiKeys, requestContexts }),
    refreshTokens: createRefreshTokens(secretKeys),
    deviceCookies: createDeviceCookies({ secretKeys, basePath: '/api' }, requestContexts),
    metadata: undefined,
    docs: undefined,
    pages: undefined,
    isEnding: () => false,
  }
  guards = createGuards(services)
})
afterAll(() => application.close())

const handler = () => 'done'
const base = () => new Elysia({ prefix: '/api' })
const compose = (app: Pick<Elysia, 'routes'>, open: readonly string[] = [], selfGuarded: readonly string[] = []) =>
  requireLockedByDefault(app.routes, { basePath: '/api', unguarded: { open, selfGuarded } })

describe('locked by default', () => {
  test('accepts guarded, open and self-guarded routes', () => {
    const guarded = new Elysia().use(guards.signedIn).get('/guarded', handler).post('/guarded', handler)
    const app = base().get('/open', handler).get('/own', handler).use(guarded)
    expect(() => compose(app, ['GET /open'], ['GET /own'])).not.toThrow()
  })

  test('rejects a route without a guard', () => {
    const guarded = new Elysia().use(guards.signedIn).get('/guarded', handler)
    expect(() => compose(base().use(guarded).get('/forgotten', handler))).toThrow('Route "GET /forgotten" has no guard')
  })

  test('rejects a route that comes before its guard', () => {
    const late = new Elysia().get('/early', handler).use(guards.administrator).get('/guarded', handler)
    expect(() => compose(base().use(late))).toThrow('Route "GET /early" has no guard')
  })

  test('rejects another method of an open path', () => {
    const app = base().get('/open', handler).delete('/open', handler)
    expect(() => compose(app, ['GET /open'])).toThrow('Route "DELETE /open" has no guard')
  })

  test('rejects a declared route that has a guard', () => {
    const guarded = new Elysia().use(guards.signedIn).get('/guarded', handler)
    expect(() => compose(base().use(guarded), ['GET /guarded'])).toThrow('Route "GET /guarded" has a guard')
  })

  test.each([
    [['GET /gone'], []],
    [[], ['GET /gone']],
  ])('rejects the declaration %j %j of a route that does not exist', (open, selfGuarded) => {
    expect(() => compose(base(), open, selfGuarded)).toThrow('No such route: GET /gone')
  })

  test('is checked when the routes of the server are composed', () => {
    const [, ...withoutHealth] = openRoutes.always
    const createWith = (always: readonly string[]) => createRoutes(services, { ...openRoutes, always })
    expect(() => createWith(openRoutes.always)).not.toThrow()
    expect(() => createWith(withoutHealth)).toThrow('Route "GET /health" has no guard')
    expect(() => createWith([...openRoutes.always, 'GET /gone'])).toThrow('No such route: GET /gone')
  })
})
