import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { createVisitor, openApplicationWithPassword, signInVisitor, type Visitor } from './browser.ts'

let application: TestApplication
beforeAll(async () => {
  application = await openApplicationWithPassword()
})
afterAll(() => application.close())

const signedIn = () => signInVisitor(application)

describe('the page for refused users', () => {
  test('names the role, or the password while it must be changed, and another reason of the proxy', async () => {
    const fresh = await openTestApplication('PostgreSQL')
    const quarantined = createVisitor(fresh)
    await quarantined.post('/sign-in', { username: 'admin', password: 'changeme' })
    const usual = await signedIn()
    const titles = async (visitor: Visitor, query: string) =>
      /<h1>(.*)<\/h1>/.exec(await (await visitor.get(`/refused${query}`)).text())?.[1]
    for (const query of ['?return=/staff', '?step=role&return=/staff', '?step=nonsense']) {
      expect(await titles(usual, query)).toBe('You do not have access')
      expect(await titles(createVisitor(application), query)).toBe('You do not have access')
      expect(await titles(quarantined, query)).toBe('Change your password first')
    }
    expect(await titles(quarantined, '?step=origin')).toBe('Request blocked')
    const html = await (await quarantined.get('/refused?return=/staff?x=1')).text()
    expect(html).toContain('href="account/password?return=/staff?x=1"')
    await fresh.close()
  })
})

describe('assets', () => {
  test('are found by relative links with and without a trailing slash, and cached for a year', async () => {
    for (const path of ['/sign-in', '/sign-in/', '/refused/?step=role']) {
      const html = await (await createVisitor(application).get(path)).text()
      const urls = [...html.matchAll(/(?:href|src)="([./]*pages\/[^"]+)"/g)].map(([, url]) => url ?? '')
      expect(urls).toHaveLength(3)
      for (const url of urls) {
        const { pathname } = new URL(url, `http://localhost/api${path}`)
        const response = await application.call(pathname.slice('/api'.length))
        expect(response.status).toBe(200)
        expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
        expect(response.headers.get('content-type')).toMatch(
          /^(text\/css|text\/javascript|image\/svg\+xml); charset=utf-8$/,
        )
        expect(response.headers.get('x-content-type-options')).toBe('nosniff')
        await response.text()
      }
    }
  })
})
