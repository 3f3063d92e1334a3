import { createHash } from 'node:crypto'
import { Elysia } from 'elysia'
import { iconUri } from './icon.ts'
import pageStyle from './landingPage.css' with { type: 'text' }
import pageText from './landingPage.html' with { type: 'text' }

/** Returns the response for the root or BASE_PATH, whichever path was requested. */
export type Landing = (request: Request, path: string) => Response

interface LandingSettings {
  readonly basePath: string
  readonly hasDocs: boolean
}

/** No script, and only the style below. */
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(pageStyle).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const docsLinks = [
  ['docs', 'API documentation', 'Try every endpoint in the browser.'],
  ['openapi.json', 'OpenAPI document', 'For generated clients and API tools.'],
] as const
const healthLinks = [
  ['health', 'Health', 'Whether the process is alive.'],
  ['ready', 'Readiness', 'Whether a login can succeed.'],
] as const

/** A browser gets a page, any other client JSON. */
export function createLanding({ basePath, hasDocs }: LandingSettings): Landing {
  const links = [...(hasDocs ? docsLinks : []), ...healthLinks]
  const document = JSON.stringify({
    name: 'AuditTrail',
    status: 'running',
    ...(hasDocs ? { docs: `${basePath}/docs`, openapi: `${basePath}/openapi.json` } : {}),
    health: `${basePath}/health`,
    ready: `${basePath}/ready`,
  })
  return (request, path) => {
    const isPage = prefersHtml(request.headers.get('accept') ?? '')
    const headers = isPage
      ? { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': contentSecurityPolicy }
      : { 'content-type': 'application/json' }
    const body = isPage ? pageWith(links, prefixOf(basePath, path)) : document
    return new Response(request.method === 'HEAD' ? null : body, {
      headers: { ...headers, vary: 'Accept', 'cache-control': 'no-cache' },
    })
  }
}

/** The route of BASE_PATH. `http/server` calls `landing` for the root. */
export function landingRoute(landing: Landing) {
  return new Elysia({ name: 'landing' }).get('/', ({ request, path }) => landing(request, path), {
    detail: { hide: true },
  })
}

/**
 * Returns what leads from the requested path to the routes. Relative, because a proxy may strip a
 * prefix that the server does not know.
 */
function prefixOf(basePath: string, path: string): string {
  if (path === `${basePath}/`) return ''
  const lastSegment = basePath.slice(basePath.lastIndexOf('/') + 1)
  return path === '/' ? `${basePath.slice(1)}/` : `${lastSegment}/`
}

function pageWith(links: readonly (readonly [string, string, string])[], prefix: string): string {
  const items = links.map(([path, name, text]) => `<li><a href="${prefix}${path}">${name}</a><span>${text}</span></li>`)
  // Bun's types declare .html imports as bundles; imported as text, this is a string.
  return (pageText as unknown as string)
    .replaceAll('{{icon}}', iconUri)
    .replace('/* style */', () => pageStyle)
    .replace('{{links}}', items.join(''))
}

/** An API client accepts everything, or JSON at least as much as HTML (RFC 9110 §12.5.1). */
function prefersHtml(accept: string): boolean {
  const html = qualityOf('text/html', accept)
  return html > 0 && html >= qualityOf('application/json', accept)
}

function qualityOf(type: string, accept: string): number {
  const range = accept
    .toLowerCase()
    .split(',')
    .find((entry) => entry.split(';')[0]?.trim() === type)
  if (range === undefined) return 0
  const quality = /;\s*q=([\d.]+)/.exec(range)?.[1]
  return quality === undefined ? 1 : Number(quality)
}
