import { Type } from '@sinclair/typebox'
import { Elysia, t } from 'elysia'
import type { ApiKeyCheck } from '../../domain/apiKeys/apiKeyCheck.ts'
import { looksLikeApiKey } from '../../domain/apiKeys/apiKeyFormat.ts'
import type { ApiKey } from '../../domain/apiKeys/apiKeys.ts'
import { subjectOf } from '../../domain/apiKeys/serviceSubject.ts'
import type { Deps } from '../../domain/deps.ts'
import { findActiveUser, findRefreshable, type RefreshableSession } from '../../domain/sessions/sessions.ts'
import { formBody, formErrors, optionalField } from '../input/form.ts'
import { operation } from '../operation.ts'
import type { AccessClaims, AccessTokens } from '../tokens/accessTokens.ts'
import type { RefreshTokens } from '../tokens/refreshTokens.ts'
import type { Guards } from './guard.ts'

const IntrospectionForm = t.Object({
  token: t.String({ minLength: 1, description: 'An access token, a refresh token or an API key.' }),
  token_type_hint: optionalField('Accepted and ignored.'),
})

/** RFC 7662 §2.2. Times are seconds since the epoch. */
const Introspection = t.Object({
  active: t.Boolean({ description: 'False if the token is not valid. Then no other field is present.' }),
  token_type: t.Optional(
    t.Union([t.Literal('Bearer'), t.Literal('refresh_token')], {
      description: '`Bearer` for an access token or an API key. Never grant access for a `refresh_token`.',
    }),
  ),
  sub: t.Optional(t.String({ description: 'The username, or `service:` and the name of the service.' })),
  uid: t.Optional(t.String({ description: 'The id of the user or the service.' })),
  username: t.Optional(t.String({ description: 'Only for users.' })),
  client_id: t.Optional(t.String({ description: 'The name of the service. Only for API keys.' })),
  sid: t.Optional(t.String({ description: 'The id of the session.' })),
  jti: t.Optional(t.String({ description: 'The id of the access token or the API key.' })),
  roles: t.Optional(
    t.Array(t.String(), { description: 'The current roles, which can differ from those in the token.' }),
  ),
  scope: t.Optional(t.String({ description: "An API key's access to AuditTrail's own endpoints." })),
  iss: t.Optional(t.String()),
  aud: t.Optional(t.String({ description: 'Only if the token is valid at other services. Without it, deny access.' })),
  iat: t.Optional(Type.Integer()),
  exp: t.Optional(Type.Integer({ description: 'Absent if it never expires.' })),
})
type IntrospectionResponse = typeof Introspection.static

export interface IntrospectionServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly apiKeys: ApiKeyCheck
  readonly guards: Guards
  readonly issuer: string
  readonly audience: string
}

/** RFC 7662, for services with the scope `introspect`. Does not use up a refresh token. */
export function introspectionRoute(services: IntrospectionServices) {
  return new Elysia({ name: 'introspection' })
    .use(services.guards.introspector)
    .post('/auth/introspect', ({ body }) => introspect(services, body.token), {
      ...formBody,
      body: IntrospectionForm,
      ...operation({
        operationId: 'introspect',
        tag: 'Keys',
        summary: 'Introspect a token',
        description:
          'RFC 7662. Requires an API key with the scope `introspect`, as a bearer token or as a client secret ' +
          '(`client_secret_basic` with any client id). Returns `{"active":false}` if the token is forged or expired, its ' +
          'session has ended, its user is disabled, or it is valid only for a password change.',
        schema: Introspection,
        example: {
          active: true,
          token_type: 'Bearer',
          sub: 'ada',
          uid: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52',
          username: 'ada',
          sid: 'b6723ce5-e26e-4364-a188-ca267d10ce0e',
          jti: '7d0c1c0e-0a52-4d0f-8ad5-6a9e5dd0a0c1',
          roles: ['billing'],
          iss: 'https://auth.example.com',
          aud: 'audittrail',
          iat: 1769846400,
          exp: 1769848200,
        },
        errors: [
          ...formErrors,
          'not_authenticated',
          'invalid_token',
          'invalid_client',
          'password_change_required',
          'forbidden',
        ],
        isOauth: true,
        apiKeyAccess: 'introspect',
      }),
    })
}

async function introspect(services: IntrospectionServices, token: string): Promise<IntrospectionResponse> {
  const { apiKeys, refreshTokens } = services
  if (looksLikeApiKey(token)) return describeApiKey(services, await apiKeys.find(token))
  const refreshToken = refreshTokens.read(token)
  if (!refreshToken) return describeAccessToken(services, token)
  return describeRefreshToken(services, refreshToken.sessionId, await findRefreshable(services.deps, refreshToken))
}

const inactive: IntrospectionResponse = { active: false }

async function describeAccessToken(
  { deps, tokens }: IntrospectionServices,
  token: string,
): Promise<IntrospectionResponse> {
  const claims: AccessClaims | undefined = tokens.verify(token) ?? (await tokens.verifyByNewKey(token))
  if (!claims || tokens.isForPasswordChange(claims)) return inactive
  const user = await findActiveUser(deps, claims)
  if (!user || user.must_change_password) return inactive
  const { sub, uid, sid, jti, iss, aud, iat, exp } = claims
  const roles = [...user.roles]
  return { active: true, token_type: 'Bearer', sub, uid, username: sub, sid, jti, roles, iss, aud, iat, exp }
}

/** Has no `aud` and no roles, so that services that ignore `token_type` deny access. */
function describeRefreshToken(
  { issuer }: IntrospectionServices,
  sid: string,
  session: RefreshableSession | undefined,
): IntrospectionResponse {
  if (!session || session.user.must_change_password) return inactive
  const { user, createdAt, expiresAt } = session
  const { username, id: uid } = user
  const times = { iat: secondsOf(createdAt), exp: secondsOf(expiresAt) }
  return { active: true, token_type: 'refresh_token', sub: username, uid, username, sid, iss: issuer, ...times }
}

/** Has an `aud` only with roles: without any, other services reject the key, like /auth/verify. */
function describeApiKey(
  { issuer, audience }: IntrospectionServices,
  apiKey: ApiKey | undefined,
): IntrospectionResponse {
  if (!apiKey) return inactive
  return {
    active: true,
    token_type: 'Bearer',
    sub: subjectOf(apiKey),
    uid: apiKey.service_id,
    client_id: apiKey.name,
    jti: apiKey.id,
    roles: [...apiKey.roles],
    ...(apiKey.scopes.length > 0 ? { scope: apiKey.scopes.join(' ') } : {}),
    iss: issuer,
    ...(apiKey.roles.length > 0 ? { aud: audience } : {}),
    iat: secondsOf(apiKey.created_at),
    ...(apiKey.expires_at ? { exp: secondsOf(apiKey.expires_at) } : {}),
  }
}

/** NumericDate (RFC 7519 §2). */
function secondsOf(time: Date): number {
  return Math.floor(time.getTime() / 1000)
}
