import { createHash } from 'node:crypto'
import { version } from '../../version.ts'
import { questions, upstreamLocations } from './locations.ts'
import { defaultBase, type Site } from './site.ts'

/**
 * A file for Nginx's conf.d, with the reasons of deploy/nginx.conf where it does the same. Safe by default: the identity headers are set
 * for the whole server, so that a location has them by having none of its own, and they are empty where nobody was asked.
 */
export function nginxConfiguration(site: Site): string {
  const own = prefixFor(site.serverName)
  const base = site.basePath || defaultBase
  // Nothing behind the name: the path goes on as it came. Where BASE_PATH is empty, the slash cuts the prefix off.
  const service = `http://${own}${site.basePath === '' ? '/' : ''}`
  return [
    head(site, own, base),
    caching(site, own),
    `server {
${listening(site, own)}
  server_name ${site.serverName};
  server_tokens off;

  # X_Auth_User is X-Auth-User to many frameworks: names with anything but letters, digits and hyphens go no further.
  underscores_in_headers off;
  ignore_invalid_headers on;

  # To Nginx a backslash in a path is a letter, to many programs behind it a slash: with one, a path that is asked about here would
  # be another path there, past the limit of sign-ins or into what another role is needed for.
  if ($uri ~ "\\\\\\\\") {
    return 404;
  }

${defaults(own)}

  # AuditTrail itself.
  location ${base}/ {
    proxy_pass ${service};
    client_max_body_size 64k;
    limit_req zone=${own}_sign_in burst=20 nodelay;
    # Only what Nginx itself refuses: AuditTrail's own answers pass untouched.
    error_page 413 429 502 503 504 @audittrail_problem;
  }
  location ^~ /.well-known/oauth-authorization-server {
    proxy_pass http://${own};
  }

${questions(site, own)}${upstreamLocations(site, own)}${web(site, own)}
  location @audittrail_problem {
    default_type "";
    add_header Content-Type application/problem+json always;
    add_header X-Request-Id $${own}_request_id always;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-store always;
    add_header Retry-After $${own}_retry_after always;
${hsts(site.tls, own)}    # The status stays the one that led here.
    return 200 '{"type":"about:blank","title":"$${own}_title","status":$status,"detail":"$${own}_detail","request_id":"$${own}_request_id"}';
  }
}
`,
    redirect(site),
  ].join('\n')
}

/** Of what many servers of one Nginx share names in. Short, since its hash tables take no long ones. */
function prefixFor(serverName: string): string {
  return `at_${createHash('sha256').update(serverName).digest('hex').slice(0, 8)}`
}

/** Longer names than this do not fit Nginx's table of them by default. */
const longestPlainName = 40

function hsts(tls: Site['tls'], own: string): string {
  return tls ? `    add_header Strict-Transport-Security $${own}_hsts always;\n` : ''
}

function head({ serverName, services, upstreams, tls }: Site, own: string, base: string): string {
  const pool = (name: string, servers: readonly string[]) => `upstream ${name} {
  zone ${name} 64k;
${servers.map((address) => `  server ${address} max_fails=3 fail_timeout=10s;\n`).join('')}  # Nginx is the first to close an idle connection, so that no request meets one that is just being closed.
  keepalive 16;
  keepalive_timeout 20s;
}
`
  const secure = tls
    ? `# Where AuditTrail has not said so itself: browsers come back by HTTPS alone.
map $upstream_http_strict_transport_security $${own}_hsts { "" "max-age=31536000"; default ""; }
`
    : ''
  const long = serverName.length > longestPlainName ? 'server_names_hash_bucket_size 512;\n' : ''
  return `# Printed by: audittrail nginx (AuditTrail ${version}). For ${serverName}; Nginx 1.18 and newer, with its auth_request module.
# Put it into /etc/nginx/conf.d, try it with "nginx -t", and start AuditTrail with
#   TRUSTED_PROXIES=127.0.0.1    the address that Nginx calls from; of containers, their network
#   HOST=127.0.0.1               so that nobody gets past Nginx; the same goes for every service below
# Who may reach a service without Nginx can tell it to be anybody.

${long}${pool(own, services)}${upstreams.map(({ server }, at) => pool(`${own}_${at + 1}`, [server])).join('')}
# The id under which all logs have a request: the client's own where it is harmless, else one of ours.
map $http_x_request_id $${own}_request_id {
  "~^[A-Za-z0-9._-]{1,128}$" $http_x_request_id;
  default                    $request_id;
}
# Sign-ins are counted by address, all else is not: an empty key is not counted.
map $uri $${own}_sign_in {
  "~^${base.replaceAll('.', '\\.')}/auth/(login|password)/?$" $binary_remote_addr;
  default "";
}
limit_req_zone $${own}_sign_in zone=${own}_sign_in:1m rate=2r/s;
limit_conn_zone $binary_remote_addr zone=${own}_connections:1m;

# What Nginx refuses by itself.
map $status $${own}_title {
  401     "Unauthorized";
  403     "Forbidden";
  413     "Content Too Large";
  429     "Too Many Requests";
  502     "Bad Gateway";
  504     "Gateway Timeout";
  default "Service Unavailable";
}
map $status $${own}_detail {
  401     "Not signed in, or no longer.";
  403     "This needs another role, or the password must be changed first.";
  413     "The body is too long.";
  429     "Too many requests from this address. Try again shortly.";
  default "The service cannot be reached at the moment. Try again shortly.";
}
map $status $${own}_retry_after { 401 ""; 403 ""; 413 ""; default 2; }
${secure}`
}

/** Nginx keeps an answer until its second is over, hence one less. The directory is in memory: the key has the credential in it. */
function caching({ cache }: Site, own: string): string {
  if (cache === undefined) return ''
  return `# What AuditTrail has said yes to, for ${cache} seconds at most: a token may open doors for that long after a sign-out, the loss of a role
# or its expiry. /run is memory, since the names of the entries have tokens in them.
proxy_cache_path /run/audittrail-${own} levels=1 keys_zone=${own}_yes:10m max_size=50m inactive=${cache}s use_temp_path=off;
`
}

function listening({ listen, tls }: Site, own: string): string {
  if (!tls) return `  listen ${listen ?? '80'};`
  return `  listen ${listen ?? '443'} ssl;
  ssl_certificate ${tls.certificate};
  ssl_certificate_key ${tls.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  add_header Strict-Transport-Security $${own}_hsts always;`
}

function defaults(own: string): string {
  return `  # A location that has a proxy_set_header of its own has none of these: repeat them all there, or clients say who they are.
  proxy_set_header X-Auth-User $audittrail_user;
  proxy_set_header X-Auth-User-Id $audittrail_user_id;
  proxy_set_header X-Auth-Roles $audittrail_roles;
  proxy_set_header X-Auth-Session $audittrail_session;
  # By these other proxies tell who somebody is; here nobody does.
  proxy_set_header Remote-User "";
  proxy_set_header X-Remote-User "";
  proxy_set_header X-Forwarded-User "";
  proxy_set_header Forwarded "";
  proxy_set_header Host $host;
  proxy_set_header Connection "";
  proxy_set_header X-Request-Id $${own}_request_id;
  # Written anew and not appended to what the client sent.
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $host;
  proxy_set_header X-Real-IP $remote_addr;
  # By these a service may take the request for another one, which nobody was asked about.
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
  limit_conn ${own}_connections 100;
  limit_conn_status 429;
  limit_req_status 429;

  # A server that does not answer is passed over once; what cannot be repeated is not sent twice.
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 2;
  proxy_next_upstream_timeout 5s;
  proxy_connect_timeout 2s;
  proxy_send_timeout 10s;
  proxy_read_timeout 30s;

  # 500 is what Nginx makes of an AuditTrail that cannot be asked, or whose database cannot.
  error_page 401 403 413 429 502 503 504 @audittrail_problem;
  error_page 500 =503 @audittrail_problem;`
}

function web({ root, upstreams, tls }: Site, own: string): string {
  if (upstreams.some(({ path }) => path === '/')) return ''
  if (root === undefined)
    return `
  # Your web app: its files, or a proxy_pass of its own. Whoever it is, is not known here.
  location / {
    return 404;
  }
`
  return `
  location / {
    root ${root};
    try_files $uri $uri/ /index.html =404;
    # .env and .git have been served by many: hidden files are not for anyone.
    location ~ "/\\.(?!well-known/)" {
      return 404;
    }
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options DENY always;
    add_header Referrer-Policy no-referrer always;
${hsts(tls, own)}  }
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
