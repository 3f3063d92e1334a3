import { Elysia } from 'elysia'
import styleFile from '../../../dist/docs/swagger-ui.css.gz' with { type: 'file' }
import scriptFile from '../../../dist/docs/swagger-ui-bundle.js.gz' with { type: 'file' }
import pageScript from './docsPage.browser.txt' with { type: 'text' }
import pageStyle from './docsPage.css' with { type: 'text' }
import pageText from './docsPage.html' with { type: 'text' }

/** Nothing from elsewhere, nothing inline, nothing framed: the page holds a token once somebody has signed in. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const pageHeaders = {
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}
// Bun's types take every .html for a bundle of its own server; imported as text it is a text.
const page = pageText as unknown as string
const assetHeaders = { 'cache-control': 'public, max-age=3600' }
const hidden = { detail: { hide: true } }

/** Swagger UI, from the binary itself. Its links are relative, so that it is right under any path. */
export function docsRoutes() {
  return new Elysia({ name: 'docs' })
    .get('/docs', ({ request }) => servePage(request), hidden)
    .get('/docs/page.css', () => text(pageStyle, 'text/css'), hidden)
    .get('/docs/page.js', () => text(pageScript, 'text/javascript'), hidden)
    .get('/docs/swagger-ui.css', ({ request }) => asset(request, styleFile, 'text/css'), hidden)
    .get('/docs/swagger-ui-bundle.js', ({ request }) => asset(request, scriptFile, 'text/javascript'), hidden)
}

function servePage(request: Request): Response {
  // Relative links would miss their files from /docs/.
  if (new URL(request.url).pathname.endsWith('/'))
    return new Response(null, { status: 308, headers: { location: '../docs' } })
  return new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8', ...pageHeaders } })
}

function text(body: string, type: string): Response {
  return new Response(body, { headers: { 'content-type': `${type}; charset=utf-8`, ...assetHeaders } })
}

/** As it lies in the binary, under gzip, which every browser takes; unpacked for whoever does not. */
async function asset(request: Request, path: string, type: string): Promise<Response> {
  const headers = { 'content-type': `${type}; charset=utf-8`, vary: 'accept-encoding', ...assetHeaders }
  const packed = Bun.file(path)
  if (/\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')) {
    return new Response(packed, { headers: { ...headers, 'content-encoding': 'gzip' } })
  }
  return new Response(Bun.gunzipSync(await packed.bytes()), { headers })
}
