import { Elysia, t } from 'elysia'
import { login } from '../../domain/signIn/login.ts'
import { resolveUsername } from '../../domain/signIn/username.ts'
import { recording } from '../edge/source.ts'
import { formErrors, optionalField } from '../input/form.ts'
import { formOrJsonBody } from '../input/formOrJson.ts'
import { operation } from '../operation.ts'
import type { DeviceCookies } from './deviceCookie.ts'
import { type RefreshServices, refresh } from './refresh.ts'
import { ignoredClientFields, requireField, requireGrantType } from './tokenRequest.ts'
import { issueTokens, TokenResponse, tokenExample } from './tokenResponse.ts'

/** A token endpoint's fields (RFC 6749 §4.3.2, §6). Ignores unknown ones, as §3.2 requires. */
const TokenForm = t.Object({
  username: optionalField('Required unless refreshing. Not case-sensitive; blanks around it are removed.', 'admin'),
  password: optionalField('Required unless refreshing.', 'changeme'),
  grant_type: optionalField('`password` (the default) or `refresh_token`.', 'password'),
  scope: optionalField('`offline_access` also returns a refresh token. Other scopes are ignored.', 'offline_access'),
  refresh_token: optionalField('Required with `grant_type=refresh_token`.'),
  ...ignoredClientFields,
})

export interface LoginServices extends RefreshServices {
  readonly deviceCookies: DeviceCookies
}

export function loginRoute(services: LoginServices) {
  return new Elysia({ name: 'login' }).post(
    '/auth/login',
    ({ body, request, set }) => grantTokens(services, body, request, set.headers),
    {
      ...formOrJsonBody(TokenForm),
      ...operation({
        operationId: 'login',
        tag: 'Sign in',
        summary: 'Sign in with a username and password',
        description:
          'The OAuth 2.0 password grant (RFC 6749 §4.3), for first-party clients. Send the access token in the ' +
          '`Authorization: Bearer` header. Unknown usernames, wrong passwords and disabled users get the same response. ' +
          'As an OAuth token endpoint, it also accepts `grant_type=refresh_token`. The same fields can be sent as JSON.',
        schema: TokenResponse,
        example: tokenExample,
        errors: [
          ...formErrors,
          'unsupported_grant_type',
          'invalid_credentials',
          'invalid_grant',
          'too_many_attempts',
          'overloaded',
        ],
        isOauth: true,
      }),
    },
  )
}

type ResponseHeaders = Record<string, string | number | readonly string[]>

/** The token endpoint (RFC 6749 §3.2): exchanges a password or a refresh token for tokens. */
async function grantTokens(
  services: LoginServices,
  form: typeof TokenForm.static,
  request: Request,
  headers: ResponseHeaders,
): Promise<typeof TokenResponse.static> {
  if (form.grant_type === 'refresh_token')
    return issueTokens(services, await refresh(services, requireField(form, 'refresh_token'), request))
  requireGrantType(form.grant_type, ['password', 'refresh_token'])
  const { deps, deviceCookies, requestContexts } = services
  const [entered, password] = [requireField(form, 'username'), requireField(form, 'password')]
  const username = await resolveUsername(deps, entered)
  const throttleSubject = deviceCookies.subjectOf(request, username)
  const input = {
    username,
    password,
    sessionKind: form.scope?.split(' ').includes('offline_access') ? ('refreshable' as const) : ('token' as const),
    address: requestContexts.of(request).address,
    userAgent: request.headers.get('user-agent') ?? undefined,
    throttleSubject,
    signal: requestContexts.signalOf(request),
  }
  const tokens = await login(recording(deps, requestContexts, request), input, (session) =>
    issueTokens(services, session),
  )
  headers['set-cookie'] = deviceCookies.setCookie(request, throttleSubject, '/auth/login')
  return tokens
}
