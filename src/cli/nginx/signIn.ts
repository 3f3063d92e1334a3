import type { Names } from './locations.ts'
import { problems } from './maps.ts'
import type { Site } from './site.ts'

/** Returns the locations for 401 and 403: a redirect for navigations, a problem for scripts. */
export function signInLocations(site: Site, base: string, names: Names): string {
  const { browser } = names
  if (!browser) return ''
  return `
  # The page of browsers for changing a password.
  location = /.well-known/change-password {
    absolute_redirect off;
    return 302 ${base}/account/password;
  }

  # Navigations go to the sign-in page and back. Scripts, frames, forms and WebSockets get 401.
${outcome(site, names, { status: 401, name: 'sign_in', condition: browser.isPage.name, page: `${base}/sign-in` })}
${outcome(site, names, { status: 403, name: 'refused', condition: browser.isRefused.name, page: `${base}/refused` })}`
}

/** The third reason applies only to cookies. */
const refused = {
  title: problems[403].title,
  detail: 'The user needs another role or must change the password first, or the request came from another site.',
}

interface Outcome {
  readonly status: 401 | 403
  readonly name: string
  /** The variable that is not empty for navigations. */
  readonly condition: string
  readonly page: string
}

function outcome({ tls }: Site, { maps }: Names, { status, name, condition, page }: Outcome): string {
  const { title, detail } = status === 403 ? refused : problems[status]
  const hsts = tls ? `    add_header Strict-Transport-Security ${maps.hsts.name} always;\n` : ''
  return `  location @audittrail_${name} {
    absolute_redirect off;
    default_type application/problem+json;
    add_header X-Request-Id ${maps.requestId.name} always;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-store always;
${hsts}    if (${condition}) {
      return 302 ${page}?return=$request_uri;
    }
    return ${status} '{"type":"about:blank","title":"${title}","status":${status},"detail":"${detail}","request_id":"${maps.requestId.name}"}';
  }`
}
