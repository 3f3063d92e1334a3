import { createHash } from 'node:crypto'
import { createBrowserMaps } from './browserMaps.ts'
import { clearedHeaders } from './clientHeaders.ts'
import { fileLocations } from './files.ts'
import { httpContext } from './httpContext.ts'
import { type Names, upstreamLocations, verifyLocations } from './locations.ts'
import { createMaps, type Maps } from './maps.ts'
import { isHidden, unsafeInAnyPath } from './paths.ts'
import { createProblemVariables, type ProblemVariables } from './problemPage.ts'
import { signInLocations } from './signIn.ts'
import { defaultBase, type Site } from './site.ts'

/**
 * Returns a file for Nginx's conf.d. Safe by default: the server block sets the identity headers,
 * locations inherit them, and they are empty where no user was verified.
 */
export function nginxConfiguration(site: Site): string {
  const base = site.basePath || defaultBase
  const browser = site.hasSignIn ? createBrowserMaps(base, site.tls !== undefined) : undefined
  const maps = createMaps(base, site.hasSignIn)
  const problem = browser && problemVariablesOf(base, maps)
  const names = { zone: zoneFor(site), maps, browser, problem }
  // proxy_pass without a path keeps the path. If BASE_PATH is empty, the slash strips the prefix.
  const service = `http://${names.zone}${site.basePath === '' ? '/' : ''}`
  return [
    httpContext(site, names),
    `server {
${listening(site, names)}
  server_name ${serverNameOf(site)};
  server_tokens off;

  # Many frameworks read X_Auth_User as X-Auth-User. Drop header names with anything but letters,
  # digits and hyphens.
  underscores_in_headers off;
  ignore_invalid_headers on;

  # Nginx treats a backslash in a path as a plain character, many services treat it as a slash.
  # Such a path could bypass the sign-in limit or the role of a location.
  if ($uri ~ "${unsafeInAnyPath}") {
    return 404;
  }

${defaults(site, names)}

  # AuditTrail.
  location ${base}/ {
    proxy_pass ${service};
    client_max_body_size 64k;
    limit_req zone=${names.zone}_sign_in burst=20 nodelay;
    # Only for errors of Nginx itself. Responses of AuditTrail pass through unchanged.
    error_page 413 429 502 503 504 @audittrail_problem;
  }
  location ^~ /.well-known/oauth-authorization-server {
    proxy_pass http://${names.zone};
  }

${verifyLocations(site, names)}${upstreamLocations(site, names)}${fileLocations(site, names)}${web(site, names)}${signInLocations(site, base, names)}
  location @audittrail_problem {
    default_type "";
    add_header Content-Type ${problem?.type.name ?? 'application/problem+json'} always;
    add_header X-Request-Id ${maps.requestId.name} always;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-store always;
    add_header Retry-After ${maps.retryAfter.name} always;
${problem ? `    add_header Content-Security-Policy ${problem.policy.name} always;\n` : ''}${hsts(site, names)}    # error_page keeps the original status; the 200 is not sent.
    return 200 ${problem?.body.name ?? `'${problemJson(maps)}'`};
  }

${clearedHeaders(setHeaders)}
}
`,
    redirect(site),
  ].join('\n')
}

function problemJson({ title, detail, requestId }: Maps): string {
  return `{"type":"about:blank","title":"${title.name}","status":$status,"detail":"${detail.name}","request_id":"${requestId.name}"}`
}

function problemVariablesOf(base: string, maps: Maps): ProblemVariables {
  const { requestId, retryAfter } = maps
  return createProblemVariables(base, {
    json: problemJson(maps),
    requestId: requestId.name,
    retryAfter: retryAfter.name,
  })
}

/** Differs between any two files that differ. Nginx limits the length of names. */
function zoneFor(site: Site): string {
  const { hasSignIn, files, ...rest } = site
  const text = JSON.stringify(hasSignIn || files.length > 0 ? site : rest)
  return `at_${createHash('sha256').update(text).digest('hex').slice(0, 10)}`
}

/** The longest name that fits the default bucket of the hash table, which holds no patterns. */
const maxPlainNameLength = 40

function serverNameOf({ serverName }: Site): string {
  return serverName.length > maxPlainNameLength ? `"~^${serverName.replaceAll('.', '\\.')}\\z"` : serverName
}

function hsts({ tls }: Site, { maps }: Names): string {
  return tls ? `    add_header Strict-Transport-Security ${maps.hsts.name} always;\n` : ''
}

function listening({ listen, tls }: Site, { maps }: Names): string {
  const sockets = listen.length > 0 ? listen : [tls ? '443' : '80']
  const lines = sockets.map((socket) => `  listen ${socket}${tls ? ' ssl' : ''};`).join('\n')
  if (!tls) return lines
  return `${lines}
  ssl_certificate ${tls.certificate};
  ssl_certificate_key ${tls.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  add_header Strict-Transport-Security ${maps.hsts.name} always;`
}

const setHeaders = ['X-Auth-User', 'X-Auth-User-Id', 'X-Auth-Roles', 'X-Auth-Session'].concat([
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Host',
  'X-Real-IP',
])

function defaults({ body, passesToken }: Site, { zone, maps, browser }: Names): string {
  return `  # A location with its own proxy_set_header inherits none of these, nor those at the end of this
  # file. Repeat them all there, or clients can set the identity headers themselves.
  proxy_set_header X-Auth-User $audittrail_user;
  proxy_set_header X-Auth-User-Id $audittrail_user_id;
  proxy_set_header X-Auth-Roles $audittrail_roles;
  proxy_set_header X-Auth-Session $audittrail_session;
  ${passesToken ? '# Services get the token.' : '# Only AuditTrail gets the token. The flag --pass-token changes that.'}
  proxy_set_header Authorization ${passesToken ? '$http_authorization' : maps.token.name};
  proxy_set_header Host ${browser?.host.name ?? '$host'};
${
  browser
    ? `  # Services get all cookies but that of the session.
  proxy_set_header Cookie ${browser.cookies.name};
`
    : ''
}  proxy_set_header Upgrade ${maps.upgrade.name};
  proxy_set_header Connection ${maps.connection.name};
  proxy_set_header X-Request-Id ${maps.requestId.name};
  # Replaces what the client sent instead of appending to it.
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $host;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_headers_hash_max_size 8192;
  proxy_headers_hash_bucket_size 128;
  proxy_http_version 1.1;
  auth_request_set $audittrail_user $upstream_http_x_auth_user;
  auth_request_set $audittrail_user_id $upstream_http_x_auth_user_id;
  auth_request_set $audittrail_roles $upstream_http_x_auth_roles;
  auth_request_set $audittrail_session $upstream_http_x_auth_session;

  client_header_timeout 10s;
  client_body_timeout 10s;
  send_timeout 10s;
  keepalive_timeout 30s;
  client_max_body_size ${body};
  limit_conn ${zone}_connections 100;
  limit_conn_status 429;
  limit_req_status 429;

  # Tries one other server if the first does not respond. Non-idempotent requests are not repeated.
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 2;
  proxy_next_upstream_timeout 5s;
  proxy_connect_timeout 2s;
  proxy_send_timeout 10s;
  proxy_read_timeout 30s;

  # auth_request turns any other status of AuditTrail, such as 503, into 500.
  ${denials(browser)}413 429 502 503 504 @audittrail_problem;
  error_page 500 =503 @audittrail_problem;`
}

function denials(browser: Names['browser']): string {
  if (!browser) return 'error_page 401 403 '
  return `error_page 401 = @audittrail_sign_in;
  error_page 403 = @audittrail_refused;
  error_page `
}

function web(site: Site, names: Names): string {
  const { root, upstreams, files } = site
  if ([...upstreams, ...files].some(({ path }) => path === '/')) return ''
  if (root === undefined)
    return `
  # Your web app: its files, or a proxy_pass. It is public; users are not verified here. Never pass
  # requests to a service that has protected paths: other ways to write them would end here.
  location / {
    return 404;
  }
`
  return `
  location / {
    root ${root};
    try_files $uri $uri/ /index.html =404;
    # Never serves hidden files such as .env and .git.
    location ~ "${isHidden}" {
      return 404;
    }
${names.browser ? '    # A folder without an index file. No user was verified.\n    error_page 403 413 429 @audittrail_problem;\n' : ''}    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options DENY always;
    add_header Referrer-Policy no-referrer always;
${hsts(site, names)}  }
`
}

function redirect(site: Site): string {
  const { serverName, tls, listen } = site
  if (!tls || listen.length > 0) return ''
  return `server {
  listen 80;
  server_name ${serverNameOf(site)};
  return 301 https://${serverName}$request_uri;
}
`
}
