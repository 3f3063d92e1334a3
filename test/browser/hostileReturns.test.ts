import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContext, Page } from 'playwright-core'
import { type Server, serve } from '../binary/binary.ts'
import { hasNginx } from '../deploy/nginx.ts'
import { hostileTargets } from '../pages/hostileTargets.ts'
import { createDatabase } from '../postgresql.ts'
import { hasChromium } from './chromium.ts'
import { type BrowserSite, hasOpenssl, startBrowserSite } from './protectedSite.ts'
import { password } from './signInForm.ts'

describe.skipIf(!(hasNginx && hasChromium && hasOpenssl))('hostile return values in Chromium', () => {
  let server: Server
  let site: BrowserSite
  let browser: BrowserContext
  let page: Page
  const left: string[] = []

  beforeAll(async () => {
    const environment = {
      DATABASE_URL: await createDatabase(),
      SECRET_KEY: 'k'.repeat(32),
      ADMIN_PASSWORD: password,
      // Low-cost hashes: this test signs in often.
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
    }
    server = await serve({ environment: { ...environment, TRUSTED_PROXIES: '127.0.0.1' } })
    site = await startBrowserSite(new URL(server.origin).host)
    browser = await site.openBrowser()
    page = await browser.newPage()
    page.setDefaultTimeout(20_000)
    // The looks of the pages are tested elsewhere.
    await browser.route(/\.(?:css|svg)$/, (route) => route.abort())
    page.on('request', (request) => {
      const isOurs = new URL(request.url()).origin === site.origin
      if (!isOurs && !request.url().startsWith('data:')) left.push(request.url())
    })
    page.on('dialog', (dialog) => {
      left.push(dialog.message())
      void dialog.dismiss()
    })
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await site?.stop()
    await server?.stop()
  })

  /** As a link of another site has it: raw, and encoded. */
  const queries = hostileTargets.flatMap((target) => {
    const raw = target.replace(/[\0\r\n\t]/g, '')
    return [...new Set([`return=${raw}`, `return=${encodeURIComponent(target)}`])]
  })
  const signOut = () => browser.clearCookies()

  /** Sends the form by script, which takes half as long as typing, and waits for the next page. */
  const signIn = async () => {
    const next = page.waitForEvent('domcontentloaded')
    await page.evaluate(`{
      const form = document.querySelector('form')
      form.elements.username.value = 'admin'
      form.elements.password.value = ${JSON.stringify(password)}
      form.requestSubmit()
    }`)
    await next
  }

  test('are at least sixty', () => {
    expect(new Set(hostileTargets).size).toBeGreaterThanOrEqual(60)
  })

  test('never leave the site after signing in', async () => {
    for (const query of queries) {
      await signOut()
      await page.goto(`${site.origin}/api/sign-in?${query}`, { waitUntil: 'domcontentloaded' })
      await signIn()
      await page.waitForURL((url) => url.pathname !== '/api/sign-in' || url.search === '')
      expect({ query, origin: new URL(page.url()).origin, left }).toEqual({ query, origin: site.origin, left: [] })
    }
  }, 300_000)

  test('never leave the site by a form that someone changed', async () => {
    for (const target of hostileTargets) {
      await signOut()
      await page.goto(`${site.origin}/api/sign-in?return=/app/`, { waitUntil: 'domcontentloaded' })
      await page.evaluate(`document.querySelector('[name=return]').value = ${JSON.stringify(target)}`)
      await signIn()
      expect({ target, origin: new URL(page.url()).origin, left }).toEqual({ target, origin: site.origin, left: [] })
    }
  }, 300_000)

  test('never leave the site while signed in, and neither do links and forms of other pages', async () => {
    const encoded = hostileTargets.map((target) => `return=${encodeURIComponent(target)}`)
    const others = ['/api/refused', '/api/account/password', '/api/sign-out']
    for (const [path, tried] of [
      ['/api/sign-in', queries] as const,
      ...others.map((other) => [other, encoded] as const),
    ])
      for (const query of tried) {
        await page.goto(`${site.origin}${path}?${query}`, { waitUntil: 'domcontentloaded' })
        const at = { path, query, origin: new URL(page.url()).origin }
        const targets = (await page.evaluate(
          `[...document.querySelectorAll('a[href], form')].map((element) => new URL(element.href ?? element.action).origin)`,
        )) as string[]
        const foreign = targets.filter((origin) => origin !== site.origin)
        expect({ ...at, foreign, left }).toEqual({ ...at, origin: site.origin, foreign: [], left: [] })
      }
  }, 300_000)
})
