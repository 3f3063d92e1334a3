import { createHash } from 'node:crypto'
import { httpContext } from './httpContext.ts'
import { upstreamLocations, verifyLocations } from './locations.ts'
import { defaultBase, type Site } from './site.ts'

/**
 * Returns a file for Nginx's conf.d. Safe by default: the server block sets the identity headers,
 * locations inherit them, and they are empty where no user was verified.
 */
export function nginxConfiguration(site: Site): string {
  const prefix = prefixFor(site.serverName)
  const base = site.basePath || defaultBase
  // proxy_pass without a path keeps the path. If BASE_PATH is empty, the slash strips the prefix.
  const service = `http://${prefix}${site.basePath === '' ? '/' : ''}`
  return [
    httpContext(site, prefix, base),
    `server {
${listening(site, prefix)}
  server_name ${site.serverName};
  server_tokens off;

  # Many frameworks read X_Auth_User as X-Auth-User. Drop header names with anything but letters,
  # digits and hyphens.
  underscores_in_headers off;
  ignore_invalid_headers on;

  # Nginx treats a backslash in a path as a plain character, many services treat it as a slash.
  # Such a path could bypass the sign-in limit or the role of a location.
  if ($uri ~ "\\\\\\\\") {
    return 404;
  }

${defaults(prefix)}

  # AuditTrail.
  location ${base}/ {
    proxy_pass ${service};
    client_max_body_size 64k;
    limit_req zone=${prefix}_sign_in burst=20 nodelay;
    # Only for errors of Nginx itself. Responses of AuditTrail pass through unchanged.
    error_page 413 429 502 503 504 @audittrail_problem;
  }
  location ^~ /.well-known/oauth-authorization-server {
    proxy_pass http://${prefix};
  }

${verifyLocations(site, prefix)}${upstreamLocations(site, prefix)}${web(site, prefix)}
  location @audittrail_problem {
    default_type "";
    add_header Content-Type application/problem+json always;
    add_header X-Request-Id $${prefix}_request_id always;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-store always;
    add_header Retry-After $${prefix}_retry_after always;
${hsts(site.tls, prefix)}    # error_page keeps the original status; the 200 is not sent.
    return 200 '{"type":"about:blank","title":"$${prefix}_title","status":$status,"detail":"$${prefix}_detail","request_id":"$${prefix}_request_id"}';
  }
}
`,
    redirect(site),
  ].join('\n')
}

/** Avoids name conflicts with other sites. Short, because Nginx's hash tables limit the length. */
function prefixFor(serverName: string): string {
  return `at_${createHash('sha256').update(serverName).digest('hex').slice(0, 8)}`
}

function hsts(tls: Site['tls'], prefix: string): string {
  return tls ? `    add_header Strict-Transport-Security $${prefix}_hsts always;\n` : ''
}

function listening({ listen, tls }: Site, prefix: string): string {
  if (!tls) return `  listen ${listen ?? '80'};`
  return `  listen ${listen ?? '443'} ssl;
  ssl_certificate ${tls.certificate};
  ssl_certificate_key ${tls.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  add_header Strict-Transport-Security $${prefix}_hsts always;`
}

function defaults(prefix: string): string {
  return `  # A location with its own proxy_set_header inherits none of these. Repeat them all there, or
  # clients can set the identity headers themselves.
  proxy_set_header X-Auth-User $audittrail_user;
  proxy_set_header X-Auth-User-Id $audittrail_user_id;
  proxy_set_header X-Auth-Roles $audittrail_roles;
  proxy_set_header X-Auth-Session $audittrail_session;
  # Identity headers of other proxies: always empty.
  proxy_set_header Remote-User "";
  proxy_set_header X-Remote-User "";
  proxy_set_header X-Forwarded-User "";
  proxy_set_header Forwarded "";
  proxy_set_header Host $host;
  proxy_set_header Connection "";
  proxy_set_header X-Request-Id $${prefix}_request_id;
  # Replaces what the client sent instead of appending to it.
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $host;
  proxy_set_header X-Real-IP $remote_addr;
  # With these, a service could read another URL than the one that was verified.
  proxy_set_header X-Forwarded-Port "";
  proxy_set_header X-Forwarded-Prefix "";
  proxy_set_header X-Forwarded-Server "";
  proxy_set_header X-Original-URL "";
  proxy_set_header X-Rewrite-URL "";
  proxy_http_version 1.1;
  auth_request_set $audittrail_user $upstream_http_x_auth_user;
  auth_request_set $audittrail_user_id $upstream_http_x_auth_user_id;
  auth_request_set $audittrail_roles $upstream_http_x_auth_roles;
  auth_request_set $audittrail_session $upstream_http_x_auth_session;

  client_header_timeout 10s;
  client_body_timeout 10s;
  send_timeout 10s;
  keepalive_timeout 30s;
  client_max_body_size 1m;
  limit_conn ${prefix}_connections 100;
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
  error_page 401 403 413 429 502 503 504 @audittrail_problem;
  error_page 500 =503 @audittrail_problem;`
}

function web({ root, upstreams, tls }: Site, prefix: string): string {
  if (upstreams.some(({ path }) => path === '/')) return ''
  if (root === undefined)
    return `
  # Your web app: its files, or a proxy_pass. It is public; users are not verified here.
  location / {
    return 404;
  }
`
  return `
  location / {
    root ${root};
    try_files $uri $uri/ /index.html =404;
    # Never serves hidden files such as .env and .git.
    location ~ "/\\.(?!well-known/)" {
      return 404;
    }
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options DENY always;
    add_header Referrer-Policy no-referrer always;
${hsts(tls, prefix)}  }
`
}

function redirect({ serverName, tls, listen }: Site): string {
  if (!tls || listen !== undefined) return ''
  return `server {
  listen 80;
  server_name ${serverName};
  return 301 https://${serverName}$request_uri;
}
`
}
