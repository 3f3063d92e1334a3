import { swagger } from '@elysiajs/swagger'
import { Type } from '@sinclair/typebox'
import { t } from 'elysia'
import { ApiKeySchema, CreatedApiKey } from '../admin/apiKeys.ts'
import { Block } from '../admin/lockouts.ts'
import { UserWithPassword } from '../admin/userChanges.ts'
import { UserSchema } from '../admin/userSchema.ts'
import { ActivitySchema, AuditEventSchema, PartySchema } from '../audit/eventSchema.ts'
import { CurrentSession, Me } from '../auth/account.ts'
import { ListedSessionSchema } from '../auth/sessionSchema.ts'
import { TokenResponse } from '../auth/tokenResponse.ts'
import { securitySchemes, type Tag } from '../operation.ts'
import { component, documented, mapValues } from '../schema.ts'

/** RFC 9457. */
const Problem = t.Object({
  type: t.String({
    examples: ['urn:audittrail:problem:not_found'],
    description: 'A stable identifier of the problem. Compare this value in programs.',
  }),
  title: t.String({ description: 'The name of the status.' }),
  status: Type.Integer(),
  detail: t.String({ description: 'What failed and what to do, in plain text. May change at any time.' }),
  request_id: t.String({ description: 'The same as in the `X-Request-Id` header and in the log.' }),
  errors: t.Optional(t.Array(t.Object({ field: t.String(), message: t.String() }), { description: 'Invalid fields.' })),
})

/** With the `error` of RFC 6749 §5.2, for OAuth clients. */
const OauthProblem = t.Composite([
  Problem,
  t.Object({
    error: t.Optional(t.String({ examples: ['invalid_grant'], description: 'An error code of RFC 6749 §5.2.' })),
  }),
])

/** The named schemas. Each reference in the document is to one of these. */
const components = Object.fromEntries(
  [
    UserSchema,
    UserWithPassword,
    Me,
    CurrentSession,
    TokenResponse,
    ListedSessionSchema,
    ApiKeySchema,
    CreatedApiKey,
    Block,
    AuditEventSchema,
    ActivitySchema,
    PartySchema,
  ].map((schema) => [schema.title ?? '', component(schema)]),
)

const tagDescriptions: Readonly<Record<Tag, string>> = {
  'Sign in': 'Sign in and read the current user.',
  Sessions: 'Refresh tokens, sign out, list and end sessions, change the password.',
  Users: 'User administration. Requires the `admin` role.',
  'API keys': 'Credentials for services. Administrators create and revoke them.',
  Keys: 'For services that verify tokens, locally or by asking AuditTrail.',
  'Audit log': 'What happened, for administrators and monitoring. Requires the `admin` role.',
  Health: 'Probes for load balancers and orchestrators.',
}

export interface DocumentSettings {
  readonly basePath: string
  readonly version: string
  /** False with PAGES=off. */
  readonly acceptsCookies: boolean
}

/** The plugin that builds `/openapi.json` from the routes. `discovery/docs` replaces its page. */
export function openApiDocument({ basePath, version, acceptsCookies }: DocumentSettings) {
  const plugin = swagger({
    path: '/docs',
    specPath,
    // The plugin takes a path with a dot, such as /.well-known/…, for a static file.
    excludeStaticFile: false,
    documentation: {
      // TypeBox writes JSON Schema, which needs OpenAPI 3.1; the plugin's types stop at 3.0.
      ...({ openapi: '3.1.0' } as object),
      info: {
        title: 'AuditTrail',
        version,
        description:
          'Authentication for your web app. Click **Authorize** and sign in to call the locked endpoints from this page.\n\n' +
          'Errors are problem details (RFC 9457). Endpoints for OAuth clients add the `error` field of RFC 6749 §5.2.',
        license: { name: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: Object.entries(tagDescriptions).map(([name, description]) => ({ name, description })),
      components: {
        schemas: { ...components, Problem: component(Problem), OauthProblem: component(OauthProblem) },
        securitySchemes: {
          [securitySchemes.accessToken]: {
            type: 'oauth2',
            description: 'Sign in with a username and password.',
            flows: {
              password: {
                tokenUrl: `${basePath}/auth/login`,
                refreshUrl: `${basePath}/auth/refresh`,
                scopes: { offline_access: 'Also return a refresh token.' },
              },
            },
          },
          ...(acceptsCookies ? { [securitySchemes.cookie]: cookieScheme } : {}),
          [securitySchemes.apiKey]: { type: 'http', scheme: 'bearer', description: 'An API key (`atk_…`).' },
        },
      },
    },
  })
  for (const route of plugin.routes) {
    if (route.path !== specPath) continue
    const generate = route.handler as () => GeneratedDocument
    route.handler = () => {
      const document = withRequestConstraints(generate())
      return acceptsCookies ? document : withoutCookies(document)
    }
  }
  return plugin
}

const specPath = '/openapi.json'

const cookieScheme = {
  type: 'apiKey' as const,
  in: 'cookie',
  name: '__Host-audittrail',
  description: 'The cookie of `POST /auth/session`, from pages of the same origin. Over http its name is `audittrail`.',
}

interface GeneratedDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, GeneratedOperation>>>>
}

interface GeneratedOperation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly security?: readonly object[]
}

/** The routes state all credentials that they can accept. */
function withoutCookies(document: GeneratedDocument): GeneratedDocument {
  const paths = mapValues(document.paths, (methods) =>
    mapValues(methods, (operation) =>
      operation.security
        ? { ...operation, security: operation.security.filter((scheme) => !(securitySchemes.cookie in scheme)) }
        : operation,
    ),
  )
  return { ...document, paths }
}

/** The plugin writes the schemas of request bodies itself, after those of `operation`. */
function withRequestConstraints(document: GeneratedDocument): GeneratedDocument {
  const content = (body: NonNullable<GeneratedOperation['requestBody']>) => ({
    ...body,
    content: mapValues(body.content, (media) => ({ ...media, schema: documented(media.schema) })),
  })
  const paths = mapValues(document.paths, (methods) =>
    mapValues(methods, (operation) =>
      operation.requestBody ? { ...operation, requestBody: content(operation.requestBody) } : operation,
    ),
  )
  return { ...document, paths }
}
