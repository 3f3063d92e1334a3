import { Elysia } from 'elysia'
import styleFile from '../../../dist/docs/swagger-ui.css.gz' with { type: 'file' }
import scriptFile from '../../../dist/docs/swagger-ui-bundle.js.gz' with { type: 'file' }
import pageScript from './docsPage.browser.txt' with { type: 'text' }
import pageStyle from './docsPage.css' with { type: 'text' }
import pageText from './docsPage.html' with { type: 'text' }
import { iconUri } from './icon.ts'

/** No external, inline or framed content: the page holds a token after sign-in. */
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
// Bun's types declare .html imports as bundles; imported as text, this is a string.
const page = (pageText as unknown as string).replace('{{icon}}', iconUri)
const assetHeaders = { 'cache-control': 'public, max-age=3600' }
const hidden = { detail: { hide: true } }

/** Swagger UI, embedded in the binary. Its links are relative, so it works under any path. */
export function docsRoutes() {
  return new Elysia({ name: 'docs' })
    .get('/docs', ({ request }) => servePage(request), hidden)
    .get('/docs/page.css', () => text(pageStyle, 'text/css'), hidden)
    .get('/docs/page.js', () => text(pageScript, 'text/javascript'), hidden)
    .get('/docs/swagger-ui.css', ({ request }) => asset(request, styleFile, 'text/css'), hidden)
    .get('/docs/swagger-ui-bundle.js', ({ request }) => asset(request, scriptFile, 'text/javascript'), hidden)
}

function servePage(request: Request): Response {
  // The relative links do not work from /docs/.
  if (new URL(request.url).pathname.endsWith('/'))
    return new Response(null, { status: 308, headers: { location: '../docs' } })
  return new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8', ...pageHeaders } })
}

function text(body: string, type: string): Response {
  return new Response(body, { headers: { 'content-type': `${type}; charset=utf-8`, ...assetHeaders } })
}

/** The binary contains the file gzipped. It is decompressed for clients without gzip. */
async function asset(request: Request, path: string, type: string): Promise<Response> {
  const headers = { 'content-type': `${type}; charset=utf-8`, vary: 'accept-encoding', ...assetHeaders }
  const gzipped = Bun.file(path)
  if (/\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')) {
    return new Response(gzipped, { headers: { ...headers, 'content-encoding': 'gzip' } })
  }
  return new Response(Bun.gunzipSync(await gzipped.bytes()), { headers })
}
