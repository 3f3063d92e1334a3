import { Elysia, t } from 'elysia'
import { type ApiKeyList, createApiKey, listApiKeys, revokeApiKey, scopes } from '../../domain/apiKeys/apiKeys.ts'
import type { Deps } from '../../domain/deps.ts'
import { presentApiKey } from '../../domain/presentation.ts'
import { type Guards, guardRefusals } from '../auth/guard.ts'
import { readMomentCursor, writeMomentCursor } from '../input/cursor.ts'
import { jsonBody, jsonRefusals } from '../input/json.ts'
import { byId } from '../input/pathParameters.ts'
import { pageParameters, queryParameters } from '../input/query.ts'
import { creation, operation, silentOperation } from '../operation.ts'

const nullable = (description: string) => t.Union([t.String({ format: 'date-time', description }), t.Null()])
const Scopes = t.Array(t.String(), { description: `what it opens here: ${scopes.join(', ')}` })
const Roles = t.Array(t.String(), { description: 'what it opens at services that ask by /auth/verify' })

const ShownApiKey = t.Object({
  id: t.String({ format: 'uuid' }),
  name: t.String({ description: 'of the service' }),
  service_id: t.String({ format: 'uuid', description: 'the same for each key of the service' }),
  scopes: Scopes,
  roles: Roles,
  created_by: t.String(),
  created_at: t.String({ format: 'date-time' }),
  expires_at: nullable('null: never'),
  last_used_at: nullable('to the minute'),
  revoked_at: nullable('null: it is not'),
  revoked_by: t.Union([t.String(), t.Null()]),
})
const MadeApiKey = t.Composite([ShownApiKey, t.Object({ key: t.String({ description: 'in this answer alone' }) })])
const ApiKeyPage = t.Object({ items: t.Array(ShownApiKey), next: t.Union([t.String(), t.Null()]) })

const NewApiKey = t.Object(
  {
    name: t.String({
      description:
        'of the service, which may have several keys: 1 to 50 of the characters A-Z a-z 0-9 . _ -, a letter or digit first; no UUID',
    }),
    scopes: t.Optional(Scopes),
    roles: t.Optional(Roles),
    // Judged in the domain, which knows how to say what is wrong.
    expires_at: t.Optional(
      t.Union([t.String({ description: 'RFC 3339, a moment to come; left out: in a year; null: never' }), t.Null()]),
    ),
  },
  { additionalProperties: false },
)

const example: typeof ShownApiKey.static = {
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

const locked = { tag: 'API keys', isLocked: true as const }

/** Keys of services, for whoever has the role `admin`. No key opens these routes. */
export function apiKeyRoutes({ deps, guards }: { readonly deps: Deps; readonly guards: Guards }) {
  return new Elysia({ name: 'apiKeys' })
    .use(guards.administrator)
    .post(
      '/api-keys',
      async ({ principal, body, status }) => {
        const { apiKey, text } = await createApiKey(deps, principal.user.username, body)
        return status(201, { ...presentApiKey(apiKey), key: text })
      },
      {
        ...jsonBody(NewApiKey),
        ...creation({
          ...locked,
          operationId: 'createApiKey',
          summary: 'Make an API key',
          description:
            'For a program. The key is in this answer and nowhere else; nothing about it can be changed later. Several of one ' +
            'service live side by side, so that a new one takes over before the old one is revoked.',
          answer: MadeApiKey,
          example: { ...example, key: 'atk_…' },
          refusals: [...guardRefusals, ...jsonRefusals],
        }),
      },
    )
    .get('/api-keys', async ({ query }) => page(await listApiKeys(deps, readPage(query))), {
      ...queryParameters({
        ...pageParameters,
        revoked: t.Optional(
          t.Union([t.Literal('true'), t.Literal('false')], {
            description: 'revoked ones too; false unless told otherwise',
          }),
        ),
      }),
      ...operation({
        ...locked,
        operationId: 'listApiKeys',
        summary: 'List API keys',
        description:
          'The latest first, expired ones among them, and with `revoked=true` those that were revoked; never the keys themselves.',
        answer: ApiKeyPage,
        example: { items: [example], next: null },
        refusals: [...guardRefusals, 'invalid_request', 'invalid_fields'],
      }),
    })
    .delete(
      '/api-keys/:id',
      async ({ principal, params }) => {
        await revokeApiKey(deps, principal.user.username, params.id)
        return new Response(null, { status: 204 })
      },
      {
        ...byId,
        ...silentOperation({
          ...locked,
          operationId: 'revokeApiKey',
          summary: 'Revoke an API key',
          description: 'It opens nothing from the next request on.',
          refusals: [...guardRefusals, 'not_found'],
        }),
      },
    )
}

function page({ apiKeys, next }: ApiKeyList): typeof ApiKeyPage.static {
  return {
    items: apiKeys.map((apiKey) => presentApiKey(apiKey)),
    next: next ? writeMomentCursor({ moment: next.createdAt, id: next.id }) : null,
  }
}

function readPage({ limit = '50', after, revoked }: { limit?: string; after?: string; revoked?: string }) {
  const cursor = after === undefined ? undefined : readMomentCursor(after)
  return { limit: Number(limit), after: cursor && { createdAt: cursor.moment, id: cursor.id }, all: revoked === 'true' }
}
