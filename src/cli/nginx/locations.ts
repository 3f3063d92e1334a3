import type { BrowserMaps } from './browserMaps.ts'
import type { Maps } from './maps.ts'
import { lookalikeChecks, rejectIf } from './paths.ts'
import type { ProblemVariables } from './problemPage.ts'
import { type Protected, type Site, type Upstream, webSocketPath } from './site.ts'

/** What the locations of a site share. */
export interface Names {
  /** Of AuditTrail's servers, and the beginning of all other names of upstreams and zones. */
  readonly zone: string
  readonly maps: Maps
  /** Undefined without `--sign-in on`. */
  readonly browser: BrowserMaps | undefined
  /** Nginx's own errors, with `--sign-in on`. */
  readonly problem: ProblemVariables | undefined
}

/** Returns one internal location per set of roles, which asks AuditTrail about a request. */
export function verifyLocations(site: Site, names: Names): string {
  return verifyQueries(site)
    .map((query, at) => verifyLocation(site, names, query, at))
    .join('')
}

function verifyLocation({ cache, basePath }: Site, names: Names, query: string, at: number): string {
  const roles = query.replaceAll('role=', '').replaceAll('&', ', ')
  const caching =
    cache === undefined
      ? ''
      : `    # Cached by ${names.browser ? 'everything that AuditTrail decides by' : 'credential and query'}. The no-store of AuditTrail is meant for other caches.
    proxy_cache ${names.zone}_yes;
    proxy_cache_key "${cacheKey(query, names)}";
    # Nginx keeps an entry until the end of its last second, hence one second less.
    proxy_cache_valid 204 ${cache - 1}s;
    proxy_ignore_headers Cache-Control Expires X-Accel-Expires Set-Cookie Vary;
    proxy_cache_use_stale off;
`
  return `  # Verifies the user. ${roles === '' ? 'Every user is allowed' : `Allowed roles: ${roles}`}.
  location = ${verifyPath}${at + 1} {
    internal;
    proxy_pass http://${names.zone}${basePath}/auth/verify${query === '' ? '' : `?${query}`};
    # Passes on the credential and the request ID, and nothing else of the request.
    proxy_method GET;
    proxy_pass_request_body off;
    proxy_pass_request_headers off;
    proxy_set_header Content-Length "";
    proxy_set_header Authorization $http_authorization;
    proxy_set_header Host ${names.browser?.host.name ?? '$host'};
    proxy_set_header Connection "";
${aboutBrowser(names)}    proxy_set_header X-Request-Id ${names.maps.requestId.name};
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_read_timeout 5s;
${caching}  }
`
}

/** The cookie alone decides nothing: a request from another site may carry it too. */
function aboutBrowser({ browser }: Names): string {
  if (!browser) return ''
  return `    # The session cookie, and what shows whether a page of this site sent the request.
    proxy_set_header Cookie ${browser.session.name};
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Original-Upgrade $http_upgrade;
    proxy_set_header Sec-Fetch-Site $http_sec_fetch_site;
    proxy_set_header Sec-Fetch-Mode $http_sec_fetch_mode;
    proxy_set_header Sec-Fetch-Dest $http_sec_fetch_dest;
    proxy_set_header Origin $http_origin;
`
}

function cacheKey(query: string, { browser }: Names): string {
  if (!browser) return `${query} $http_authorization`
  const request =
    '$request_method|$http_upgrade|$http_sec_fetch_site|$http_sec_fetch_mode|$http_sec_fetch_dest|$http_origin'
  return `${query}|${browser.session.name}|${request}|${browser.host.name}|$http_authorization`
}

const verifyPath = '/_audittrail/verify/'

function verifyQueryOf({ roles }: Pick<Protected, 'roles'>): string {
  return roles.map((role) => `role=${role}`).join('&')
}

function verifyQueries({ upstreams, files }: Site): readonly string[] {
  return [...new Set([...upstreams, ...files].map(verifyQueryOf))]
}

/** Returns the internal location that asks AuditTrail for these roles. */
export function verifyPathOf(site: Site, rule: Pick<Protected, 'roles'>): string {
  return `${verifyPath}${verifyQueries(site).indexOf(verifyQueryOf(rule)) + 1}`
}

/** Returns the locations of the protected services. They get the path as Nginx normalized it. */
export function upstreamLocations(site: Site, names: Names): string {
  return site.upstreams.map((upstream, at) => locationsOf(site, upstream, names, at + 1)).join('')
}

function locationsOf(site: Site, upstream: Upstream, names: Names, number: number): string {
  const { path } = upstream
  const pool = `http://${names.zone}_${number}`
  const { ambiguousPath, pathWithParameters } = names.maps
  const ambiguity = rejectIf((upstream.allowsMatrixParameters ? pathWithParameters : ambiguousPath).name)
  const access = `    auth_request ${verifyPathOf(site, upstream)};\n`
  const location = (pattern: string, target: string, checks: string) => `
  location ${pattern} {
${ambiguity}${checks}    if ($http_upgrade ~* "^websocket\\z") {
      rewrite ^ ${webSocketPath}${number}$uri last;
    }
${access}    proxy_pass ${pool}${target};
  }
`
  const lookalikes = lookalikeChecks(upstream, site.upstreams)
  const outer =
    path === '/'
      ? location('/', '/', lookalikes)
      : location(`= ${path}`, path, '') + location(`${path}/`, `${path}/`, lookalikes)
  return `${outer}
  # WebSockets. Access is verified when one is opened, not later. An hour of silence closes it.
  location ^~ ${webSocketPath}${number}/ {
    internal;
${access}    limit_conn ${names.zone}_websockets 1000;
    proxy_read_timeout 1h;
    proxy_pass ${pool}/;
  }
`
}
