import type { Site, Upstream } from './site.ts'

/** Returns one internal location per set of roles, which asks AuditTrail about a request. */
export function verifyLocations(site: Site, prefix: string): string {
  return verifyQueries(site.upstreams)
    .map((query, at) => verifyLocation(site, prefix, query, at))
    .join('')
}

function verifyLocation({ cache, basePath }: Site, prefix: string, query: string, at: number): string {
  const roles = query.replaceAll('role=', '').replaceAll('&', ', ')
  const caching =
    cache === undefined
      ? ''
      : `    # Cached by credential and query. The no-store of AuditTrail is meant for other caches.
    proxy_cache ${prefix}_yes;
    proxy_cache_key "${query} $http_authorization";
    # Nginx keeps an entry until the end of its last second, hence one second less.
    proxy_cache_valid 204 ${cache - 1}s;
    proxy_ignore_headers Cache-Control Expires X-Accel-Expires Set-Cookie Vary;
    proxy_cache_use_stale off;
`
  return `  # Verifies the user. ${roles === '' ? 'Every user is allowed' : `Allowed roles: ${roles}`}.
  location = ${verifyPath}${at + 1} {
    internal;
    proxy_pass http://${prefix}${basePath}/auth/verify${query === '' ? '' : `?${query}`};
    # Passes on the credential and the request ID, and nothing else of the request.
    proxy_method GET;
    proxy_pass_request_body off;
    proxy_pass_request_headers off;
    proxy_set_header Content-Length "";
    proxy_set_header Authorization $http_authorization;
    proxy_set_header Host $host;
    proxy_set_header Connection "";
    proxy_set_header X-Request-Id $${prefix}_request_id;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_read_timeout 5s;
${caching}  }
`
}

const verifyPath = '/_audittrail/verify/'

function verifyQueryOf({ roles }: Upstream): string {
  return roles.map((role) => `role=${role}`).join('&')
}

function verifyQueries(upstreams: Site['upstreams']): readonly string[] {
  return [...new Set(upstreams.map(verifyQueryOf))]
}

function verifyPathOf({ upstreams }: Site, upstream: Upstream): string {
  return `${verifyPath}${verifyQueries(upstreams).indexOf(verifyQueryOf(upstream)) + 1}`
}

/** Returns the locations of the protected services. They get the path as Nginx normalized it. */
export function upstreamLocations(site: Site, prefix: string): string {
  const locations = site.upstreams.map((upstream, at) =>
    locationsOf(upstream, `${prefix}_${at + 1}`, verifyPathOf(site, upstream)),
  )
  return locations.join('') + lookalikeLocations(site)
}

/**
 * Rejects paths that Nginx assigns to an outer location, but that a service may route to an inner
 * one with another rule: many routers ignore case, a suffix, or everything after a semicolon.
 */
function lookalikeLocations({ upstreams }: Site): string {
  const inner = upstreams.filter((upstream) => upstreams.some((other) => isWithin(upstream, other)))
  if (inner.length === 0) return ''
  const patterns = inner.map(({ path }) => {
    const escaped = path.replaceAll('.', '\\.')
    return `^(?!${escaped}(?:/|$))(?i:${escaped})(?![A-Za-z0-9_-])`
  })
  const rejected = (pattern: string) => `
  location ~ "${pattern}" {
    return 404;
  }
`
  return `
  # Paths that a service may read as one with a rule of its own, while Nginx does not.${patterns.map(rejected).join('')}${rejected('/\\.\\.?;')}`
}

function isWithin(inner: Upstream, outer: Upstream): boolean {
  const isNested = inner !== outer && inner.path.startsWith(outer.path === '/' ? '/' : `${outer.path}/`)
  return isNested && inner.server === outer.server && verifyQueryOf(inner) !== verifyQueryOf(outer)
}

function locationsOf({ path }: Upstream, pool: string, verify: string): string {
  const location = (pattern: string, target: string) => `
  location ${pattern} {
    auth_request ${verify};
    proxy_pass http://${pool}${target};
  }
`
  return path === '/' ? location('/', '/') : location(`= ${path}`, path) + location(`${path}/`, `${path}/`)
}
