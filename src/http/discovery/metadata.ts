import { Elysia, t } from 'elysia'
import type { KeyRing } from '../../domain/keys/keyRing.ts'
import { operation } from '../operation.ts'
import { publicCaching } from './jwks.ts'

/** RFC 8414 §2. */
const Metadata = t.Object({
  issuer: t.String(),
  token_endpoint: t.String(),
  revocation_endpoint: t.String(),
  introspection_endpoint: t.String(),
  jwks_uri: t.Optional(t.String({ description: 'Absent if there are no public keys (HS256).' })),
  grant_types_supported: t.Array(t.String()),
  response_types_supported: t.Array(t.String()),
  scopes_supported: t.Array(t.String()),
  token_endpoint_auth_methods_supported: t.Array(t.String()),
  revocation_endpoint_auth_methods_supported: t.Array(t.String()),
  introspection_endpoint_auth_methods_supported: t.Array(t.String()),
})

export interface MetadataLocation {
  /** Exactly ISSUER. */
  readonly issuer: string
  /** The URL prefix of the routes, as clients see it. */
  readonly prefix: string
  /** The path of the route, with `BASE_PATH`. */
  readonly path: string
  /** Paths at the root, where a client looks that only knows the issuer (RFC 8414 §3.1). */
  readonly aliases: ReadonlySet<string>
}

const wellKnown = '/.well-known/oauth-authorization-server'

/**
 * Returns where the metadata is. Undefined unless ISSUER is an https URL (or http on localhost)
 * without query and fragment (RFC 8414 §2). If a proxy strips the path, only ISSUER has it.
 */
export function locateMetadata({
  basePath,
  issuer,
}: {
  basePath: string
  issuer: string
}): MetadataLocation | undefined {
  const url = URL.parse(issuer)
  if (!url || !isIssuerUrl(url)) return undefined
  const issuerPath = url.pathname.replace(/\/$/, '')
  return {
    issuer,
    prefix: url.origin + (basePath || issuerPath),
    path: basePath + wellKnown,
    aliases: new Set([wellKnown + basePath, wellKnown + issuerPath]),
  }
}

function isIssuerUrl({ protocol, hostname, username, password, search, hash, href }: URL): boolean {
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  const isPlain = [username, password, search, hash].every((part) => part === '') && !/[?#]/.test(href)
  return isPlain && (protocol === 'https:' || (protocol === 'http:' && isLocal))
}

/** Returns the request, redirected internally to the route if its path is an alias. */
export function resolveAlias(request: Request, path: string, location: MetadataLocation | undefined): Request {
  if (!location?.aliases.has(path) || path === location.path) return request
  const url = new URL(request.url)
  url.pathname = location.path
  return new Request(url.href, request)
}

/** RFC 8414 §3. */
export function metadataRoute(keyRing: KeyRing, { issuer, prefix }: MetadataLocation) {
  return new Elysia({ name: 'metadata' }).get(
    wellKnown,
    async ({ set }) => {
      const hasKeys = (await keyRing.listPublicKeys()).length > 0
      set.headers['cache-control'] = publicCaching
      return metadataOf(issuer, prefix, hasKeys)
    },
    operation({
      operationId: 'metadata',
      tag: 'Keys',
      summary: 'Get the OAuth 2.0 server metadata',
      description:
        'RFC 8414. Available if `ISSUER` is a URL. Also served from the root, at `/.well-known/oauth-authorization-server` ' +
        'followed by the path of `ISSUER` or `BASE_PATH`, where clients look for it.',
      schema: Metadata,
      example: metadataOf('https://auth.example.com', 'https://auth.example.com/api', true),
      errors: ['unavailable'],
    }),
  )
}

function metadataOf(issuer: string, prefix: string, hasKeys: boolean): typeof Metadata.static {
  return {
    issuer,
    token_endpoint: `${prefix}/auth/login`,
    revocation_endpoint: `${prefix}/auth/revoke`,
    introspection_endpoint: `${prefix}/auth/introspect`,
    ...(hasKeys ? { jwks_uri: `${prefix}/.well-known/jwks.json` } : {}),
    grant_types_supported: ['password', 'refresh_token'],
    response_types_supported: [],
    scopes_supported: ['offline_access'],
    token_endpoint_auth_methods_supported: ['none'],
    revocation_endpoint_auth_methods_supported: ['none'],
    // `Bearer` is an access token type, which RFC 8414 §2 allows here.
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'Bearer'],
  }
}
