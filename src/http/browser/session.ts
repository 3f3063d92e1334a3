import { Elysia, t } from 'elysia'
import { AppError } from '../../error.ts'
import { CurrentSession, currentSessionExample, presentCurrentSession } from '../auth/account.ts'
import { hasBearer } from '../auth/authorization.ts'
import { jsonBody, jsonErrors } from '../input/json.ts'
import { emptyOperation, operation } from '../operation.ts'
import type { BrowserAccess } from './browserAccess.ts'
import { otherOrigin } from './browserAccess.ts'

const SignInBody = t.Object(
  {
    username: t.String({ minLength: 1 }),
    password: t.String({ minLength: 1 }),
    stay: t.Optional(t.Boolean({ description: 'Stay signed in when the browser is closed. Defaults to false.' })),
  },
  { additionalProperties: false },
)

const tag = 'Sign in'

/** Signing in and out by cookie, for a page of the same origin. */
export function sessionRoutes(browserAccess: BrowserAccess) {
  return new Elysia({ name: 'session' })
    .use(sameOriginOnly(browserAccess))
    .post(
      '/auth/session',
      async ({ body: { username, password, stay = false }, request, set }) => {
        const input = { username, password, stay, route: '/auth/session' } as const
        const { session, setCookies } = await browserAccess.signIn(request, input)
        set.headers['set-cookie'] = [...setCookies]
        return presentCurrentSession({ user: session.user, isForPasswordChange: false }, session.expiresAt)
      },
      {
        ...jsonBody(SignInBody),
        ...operation({
          operationId: 'startSession',
          tag,
          summary: 'Sign in with a cookie',
          description:
            'For pages of the same origin. The cookie signs the browser in until the session ends; scripts cannot read it. Ends ' +
            'the former session of the browser. Requests of other origins get 403, and so do those without `Sec-Fetch-Site` ' +
            'and `Origin`.',
          schema: CurrentSession,
          example: currentSessionExample,
          errors: [...jsonErrors, 'forbidden', 'invalid_credentials', 'too_many_attempts', 'overloaded', 'unavailable'],
        }),
      },
    )
    .delete(
      '/auth/session',
      async ({ request }) => {
        if (hasBearer(request))
          throw new AppError('invalid_request', 'Send no bearer token. To end its session, use POST /auth/logout.')
        const { setCookies } = await browserAccess.signOut(request)
        const response = new Response(null, { status: 204, headers: { 'clear-site-data': '"cache"' } })
        for (const cookie of setCookies) response.headers.append('set-cookie', cookie)
        return response
      },
      emptyOperation({
        operationId: 'endSession',
        tag,
        summary: 'Sign out of a cookie session',
        description:
          'For pages of the same origin. Ends the session of the cookie, if there is one, and deletes the cookie.',
        errors: ['forbidden', 'unavailable'],
      }),
    )
}

/** Needs no cookie: no other site may sign a user in or out. Runs before the body is read. */
function sameOriginOnly(browserAccess: BrowserAccess) {
  const requireSameOrigin = ({ request }: { request: Request }) => {
    if (!browserAccess.isSameOrigin(request)) throw otherOrigin()
  }
  return new Elysia({ name: 'sameOriginOnly' })
    .onParse({ as: 'scoped' }, requireSameOrigin)
    .onTransform({ as: 'scoped' }, requireSameOrigin)
}
