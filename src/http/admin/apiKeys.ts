import { Elysia, t } from 'elysia'
import { apiKeyPattern } from '../../domain/apiKeys/apiKeyFormat.ts'
import { createApiKey, listApiKeys, revokeApiKey, scopes, serviceNamePattern } from '../../domain/apiKeys/apiKeys.ts'
import { partyOf } from '../../domain/audit/record.ts'
import { presentApiKey } from '../../domain/presentation.ts'
import { guardErrors } from '../auth/guard.ts'
import type { TokenPrincipal } from '../auth/principal.ts'
import { recording } from '../edge/source.ts'
import { timeCursor } from '../input/cursor.ts'
import { jsonBody, jsonErrors } from '../input/json.ts'
import { pageOf, pageParameters, readPage, toPage } from '../input/page.ts'
import { byId } from '../input/pathParameters.ts'
import { queryParameters } from '../input/query.ts'
import { creation, emptyOperation, operation } from '../operation.ts'
import { constrained, named, uuid } from '../schema.ts'
import type { UserChangeServices as AdministrationServices } from './userChanges.ts'
import { rolesSchema } from './userSchema.ts'

const nullable = (description: string) => t.Union([t.String({ format: 'date-time', description }), t.Null()])
const scope = constrained(t.String(), { pattern: `^(${scopes.join('|')})$` })
const Scopes = t.Array(scope, { description: `Access to AuditTrail's own endpoints: ${scopes.join(', ')}.` })
const Roles = rolesSchema('Access to services that use `/auth/verify`.')
const serviceName = (description: string) =>
  constrained(t.String({ description }), { pattern: serviceNamePattern, minLength: 1, maxLength: 50 })

export const ApiKeySchema = named(
  'ApiKey',
  t.Object({
    id: uuid(),
    name: serviceName('The name of the service.'),
    service_id: uuid('The same for all keys of the service.'),
    scopes: Scopes,
    roles: Roles,
    created_by: t.String(),
    created_at: t.String({ format: 'date-time' }),
    expires_at: nullable('Null if it never expires.'),
    last_used_at: nullable('Accurate to the minute.'),
    revoked_at: nullable('Null if it is active.'),
    revoked_by: t.Union([t.String(), t.Null()]),
  }),
)
export const CreatedApiKey = named(
  'CreatedApiKey',
  t.Composite([
    ApiKeySchema,
    t.Object({
      key: constrained(t.String({ description: 'The API key. Returned only once.' }), { pattern: apiKeyPattern }),
    }),
  ]),
)
const ApiKeyPage = pageOf(ApiKeySchema)

const NewApiKey = t.Object(
  {
    name: serviceName(
      'The name of the service: 1 to 50 of the characters A-Z a-z 0-9 . _ -, starting with a letter or digit, and not a ' +
        'UUID. A service can have several keys.',
    ),
    scopes: t.Optional(Scopes),
    roles: t.Optional(Roles),
    // The domain validates it, with a better message.
    expires_at: t.Optional(
      t.Union([
        t.String({ description: 'A future RFC 3339 time. Defaults to one year from now; null means never.' }),
        t.Null(),
      ]),
    ),
  },
  { additionalProperties: false },
)

const example: typeof ApiKeySchema.static = {
  id: '5b0f2a7e-5f0e-4c55-8d59-0b8c2c7a9a10',
  name: 'reports',
  service_id: '9d8a0a52-39a4-4cf2-9b52-4a1d0f1c2e77',
  scopes: ['introspect'],
  roles: [],
  created_by: 'admin',
  created_at: '2026-01-31T08:00:00.000Z',
  expires_at: '2027-01-31T08:00:00.000Z',
  last_used_at: null,
  revoked_at: null,
  revoked_by: null,
}

const cursor = timeCursor('createdAt')

const administration = { tag: 'API keys', isForUsers: true } as const

/** API keys, for administrators. These routes do not accept API keys. */
export function apiKeyRoutes({ deps, guards, requestContexts }: AdministrationServices) {
  const by = ({ user, sessionId }: TokenPrincipal, request: Request) =>
    recording(deps, requestContexts, request, partyOf(user, sessionId))
  return new Elysia({ name: 'apiKeys' })
    .use(guards.administrator)
    .post(
      '/api-keys',
      async ({ principal, body, status, request }) => {
        const { apiKey, text } = await createApiKey(by(principal, request), principal.user.username, body)
        return status(201, { ...presentApiKey(apiKey), key: text })
      },
      {
        ...jsonBody(NewApiKey),
        ...creation({
          ...administration,
          operationId: 'createApiKey',
          summary: 'Create an API key',
          description:
            'Creates an API key for a service. The key is returned only once and cannot be changed later. To rotate a key, ' +
            'create a second one for the same service, switch to it, and revoke the first.',
          schema: CreatedApiKey,
          example: { ...example, key: `atk_${'0'.repeat(49)}` },
          errors: [...guardErrors, ...jsonErrors],
        }),
      },
    )
    .get(
      '/api-keys',
      async ({ query }) => {
        const all = query.revoked === 'true'
        const { apiKeys, next } = await listApiKeys(deps, { ...readPage(query, cursor), all })
        return toPage(
          apiKeys.map((apiKey) => presentApiKey(apiKey)),
          next,
          cursor,
        )
      },
      {
        ...queryParameters({
          ...pageParameters,
          revoked: t.Optional(
            t.Union([t.Literal('true'), t.Literal('false')], {
              description: 'Include revoked keys. Defaults to false.',
            }),
          ),
        }),
        ...operation({
          ...administration,
          operationId: 'listApiKeys',
          summary: 'List API keys',
          description:
            'Newest first, including expired ones. Revoked ones are included with `revoked=true`. The keys themselves are ' +
            'never returned.',
          schema: ApiKeyPage,
          example: { items: [example], next: null },
          errors: [...guardErrors, 'invalid_request', 'invalid_fields'],
        }),
      },
    )
    .delete(
      '/api-keys/:id',
      async ({ principal, params, request }) => {
        await revokeApiKey(by(principal, request), principal.user.username, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...emptyOperation({
          ...administration,
          operationId: 'revokeApiKey',
          summary: 'Revoke an API key',
          description: 'The key is rejected from the next request on.',
          errors: [...guardErrors, 'not_found'],
        }),
      },
    )
}
