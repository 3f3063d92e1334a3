import { Elysia, t } from 'elysia'
import type { Deps } from '../domain/deps.ts'
import { login } from '../domain/login.ts'
import { AppError } from '../error.ts'
import type { Exchanges } from './exchange.ts'
import { readForm } from './form.ts'
import type { Guard } from './guard.ts'
import type { Tokens } from './tokens.ts'

/** OAuth2 password form (RFC 6749 §4.3.2). Members that it does not name are ignored, as §3.2 wants it. */
const LoginForm = t.Object({
  username: t.String(),
  password: t.String(),
  grant_type: t.Optional(t.String()),
  scope: t.Optional(t.String()),
  client_id: t.Optional(t.String()),
  client_secret: t.Optional(t.String()),
})

const TokenAnswer = t.Object({ access_token: t.String(), token_type: t.Literal('bearer'), expires_in: t.Integer() })

const Me = t.Object({ id: t.String(), username: t.String(), full_name: t.String(), is_active: t.Boolean() })

export interface AuthServices {
  readonly deps: Deps
  readonly tokens: Tokens
  readonly guard: Guard
  readonly exchanges: Exchanges
}

export function authRoutes({ deps, tokens, guard, exchanges }: AuthServices) {
  return new Elysia({ name: 'auth' })
    .post(
      '/auth/login',
      async ({ body, request }) => {
        requirePasswordGrant(body.grant_type)
        const { address } = exchanges.of(request)
        const userAgent = request.headers.get('user-agent') ?? undefined
        const session = await login(deps, { username: body.username, password: body.password, address, userAgent })
        return {
          access_token: await tokens.sign(session),
          token_type: 'bearer' as const,
          expires_in: deps.accessTokenSeconds,
        }
      },
      { parse: ({ request }) => readForm(request), body: LoginForm, response: { 200: TokenAnswer } },
    )
    .use(guard)
    .get('/auth/me', ({ principal: { user } }) => pickMe(user), { response: { 200: Me } })
}

function requirePasswordGrant(grantType: string | undefined): void {
  if (grantType !== undefined && grantType !== 'password') {
    throw new AppError('unsupported_grant_type', 'The grant_type of this endpoint is "password".')
  }
}

function pickMe({ id, username, full_name, is_active }: typeof Me.static): typeof Me.static {
  return { id, username, full_name, is_active }
}
