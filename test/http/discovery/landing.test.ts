import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { openTestApplication, type TestApplication } from '../../application.ts'

const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'

/** Sends a request to a path of the origin, outside BASE_PATH too. */
const get = (application: TestApplication, path: string, accept?: string, method = 'GET') =>
  application.http.handle(
    new Request(`http://localhost${path}`, { method, ...(accept === undefined ? {} : { headers: { accept } }) }),
    '192.0.2.7',
  )

/** Follows each link of the page as a browser does. */
async function statusesOfLinks(application: TestApplication, path: string): Promise<Record<string, number>> {
  const page = await (await get(application, path, browser)).text()
  const links = [...page.matchAll(/<a href="([^"]+)"/g)].map(
    ([, href = '']) => new URL(href, `http://localhost${path}`),
  )
  const entries = links.map(async ({ pathname }) => [pathname, (await get(application, pathname)).status] as const)
  return Object.fromEntries(await Promise.all(entries))
}

describe.each(['/api', '', '/team/login'])('the landing page with BASE_PATH "%s"', (basePath) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL', { basePath })
  })
  afterAll(() => application.close())

  const paths = basePath === '' ? ['/'] : ['/', basePath, `${basePath}/`]

  test('is HTML for a browser, under a policy without scripts', async () => {
    for (const path of paths) {
      const response = await get(application, path, browser)
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
      expect(response.headers.get('vary')).toContain('Accept')
      expect(response.headers.get('x-frame-options')).toBe('DENY')
      const page = await response.text()
      expect(page).toContain('AuditTrail is running')
      expect(page).not.toMatch(/<script|style=| on\w+=|https?:\/\//)
      const style = /<style>([\s\S]*)<\/style>/.exec(page)?.[1] ?? ''
      const hash = createHash('sha256').update(style).digest('base64')
      const policy = response.headers.get('content-security-policy') ?? ''
      expect(policy).toContain(`default-src 'none'; style-src 'sha256-${hash}'`)
      expect(policy).not.toContain('unsafe')
    }
  })

  test('links to pages that exist, from every path', async () => {
    for (const path of paths)
      expect(await statusesOfLinks(application, path)).toEqual({
        [`${basePath}/docs`]: 200,
        [`${basePath}/openapi.json`]: 200,
        [`${basePath}/health`]: 200,
        [`${basePath}/ready`]: 200,
      })
  })

  test.each([undefined, '*/*', 'application/json', 'application/json, text/html;q=0.5', 'text/html;q=0'])(
    'is JSON for a client that accepts %s',
    async (accept) => {
      for (const path of paths) {
        const response = await get(application, path, accept)
        expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
        expect(await response.json()).toEqual({
          name: 'AuditTrail',
          status: 'running',
          docs: `${basePath}/docs`,
          openapi: `${basePath}/openapi.json`,
          health: `${basePath}/health`,
          ready: `${basePath}/ready`,
        } as never)
      }
    },
  )

  test('answers HEAD without a body, OPTIONS, and 405 to other methods', async () => {
    for (const path of paths) {
      const head = await get(application, path, browser, 'HEAD')
      expect([head.status, await head.text()]).toEqual([200, ''])
      const options = await get(application, path, undefined, 'OPTIONS')
      expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
      const post = await get(application, path, undefined, 'POST')
      expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
  })

  test('is at no other path', async () => {
    for (const path of ['/index.html', '//', `${basePath}//`, '/nowhere'])
      expect([path, (await get(application, path, browser)).status]).toEqual([path, 404])
  })

  test('leaves out the documentation with DOCS=off', async () => {
    const undocumented = await openTestApplication('PostgreSQL', { basePath, isDocumented: false })
    for (const path of paths) {
      expect(await statusesOfLinks(undocumented, path)).toEqual({
        [`${basePath}/health`]: 200,
        [`${basePath}/ready`]: 200,
      })
      expect(await (await get(undocumented, path)).text()).not.toContain('docs')
      expect(await (await get(undocumented, path, browser)).text()).not.toContain('docs')
    }
    await undocumented.close()
  })
})
