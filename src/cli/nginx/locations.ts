import type { Site, Upstream } from './site.ts'

/** One question for each set of roles: a location, which no client can ask for. */
export function questions({ upstreams, cache, basePath }: Site, own: string): string {
  const kept = (query: string) =>
    cache === undefined
      ? ''
      : `    # By the credential and the question. AuditTrail says no-store, which is for others.
    proxy_cache ${own}_yes;
    proxy_cache_key "${query} $http_authorization";
    proxy_cache_valid 204 ${cache - 1}s;
    proxy_ignore_headers Cache-Control Expires X-Accel-Expires Set-Cookie Vary;
    proxy_cache_use_stale off;
`
  return questionsOf(upstreams)
    .map((query, at) => {
      const roles = query.replaceAll('role=', '').replaceAll('&', ', ')
      return `  # Who asks, and may they? ${roles === '' ? 'Every user may' : `Roles: ${roles}`}.
  location = ${questionPrefix}${at + 1} {
    internal;
    proxy_pass http://${own}${basePath}/auth/verify${query === '' ? '' : `?${query}`};
    # The credential, and what this request is called: AuditTrail needs nothing else of it.
    proxy_method GET;
    proxy_pass_request_body off;
    proxy_pass_request_headers off;
    proxy_set_header Content-Length "";
    proxy_set_header Authorization $http_authorization;
    proxy_set_header Host $host;
    proxy_set_header Connection "";
    proxy_set_header X-Request-Id $${own}_request_id;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_read_timeout 5s;
${kept(query)}  }
`
    })
    .join('')
}

function questionOf({ roles }: Upstream): string {
  return roles.map((role) => `role=${role}`).join('&')
}

function questionsOf(upstreams: Site['upstreams']): readonly string[] {
  return [...new Set(upstreams.map(questionOf))]
}

const questionPrefix = '/_audittrail/verify/'

function questionPath({ upstreams }: Site, upstream: Upstream): string {
  return `${questionPrefix}${questionsOf(upstreams).indexOf(questionOf(upstream)) + 1}`
}

/** The path goes on as Nginx has read it, so that no other spelling of it means one thing here and another thing there. */
export function upstreamLocations(site: Site, own: string): string {
  const locations = site.upstreams.map((upstream, at) =>
    locationsOf(upstream, `${own}_${at + 1}`, questionPath(site, upstream)),
  )
  return locations.join('') + oddSpellings(site)
}

/**
 * Where one service has a rule within another: what it may take for the inner path, and Nginx takes for the outer. Routers that
 * read no case are many, and some cut off an ending, or what is behind a semicolon, of dots as well.
 */
function oddSpellings({ upstreams }: Site): string {
  const inner = upstreams.filter((upstream) => upstreams.some((other) => isWithin(upstream, other)))
  if (inner.length === 0) return ''
  const patterns = inner.map(({ path }) => {
    const plain = path.replaceAll('.', '\\.')
    return `^(?!${plain}(?:/|$))(?i:${plain})(?![A-Za-z0-9_-])`
  })
  const nothing = (pattern: string) => `
  location ~ "${pattern}" {
    return 404;
  }
`
  return `
  # What the service may read as a path that has a rule of its own, and Nginx reads as another one.${patterns.map(nothing).join('')}${nothing('/\\.\\.?;')}`
}

function isWithin(inner: Upstream, outer: Upstream): boolean {
  const isBeneath = inner !== outer && inner.path.startsWith(outer.path === '/' ? '/' : `${outer.path}/`)
  return isBeneath && inner.server === outer.server && questionOf(inner) !== questionOf(outer)
}

function locationsOf({ path }: Upstream, pool: string, question: string): string {
  const location = (pattern: string, target: string) => `
  location ${pattern} {
    auth_request ${question};
    proxy_pass http://${pool}${target};
  }
`
  return path === '/' ? location('/', '/') : location(`= ${path}`, path) + location(`${path}/`, `${path}/`)
}
