import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContext, Page } from 'playwright-core'
import { type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { hasNginx } from '../deploy/nginx.ts'
import { createDatabase } from '../postgresql.ts'
import { hasChromium } from './chromium.ts'
import { type BrowserSite, hasOpenssl, startBrowserSite } from './protectedSite.ts'
import { enterPassword, password } from './signInForm.ts'

describe.skipIf(!(hasNginx && hasChromium && hasOpenssl))('a protected app in Chromium, behind Nginx with TLS', () => {
  let server: Server
  let site: BrowserSite
  let browser: BrowserContext
  let page: Page

  beforeAll(async () => {
    const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32), ADMIN_PASSWORD: password }
    server = await serve({ environment: { ...environment, TRUSTED_PROXIES: '127.0.0.1' } })
    site = await startBrowserSite(new URL(server.origin).host)
    // As browsers of people do, keep pages for Back in memory.
    browser = await site.openBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
    page = await browser.newPage()
    page.setDefaultTimeout(20_000)
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await site?.stop()
    await server?.stop()
  })

  test('leads to the sign-in page and back, with query and fragment', async () => {
    const target = `${site.origin}/app/board%20one?x=1&y=%zz&return=/z#panel-2`
    await page.goto(target)
    expect(new URL(page.url()).pathname).toBe('/api/sign-in')
    expect(site.received).toEqual([])
    await enterPassword(page)
    await page.getByRole('heading', { name: 'Hello, admin' }).waitFor()
    expect(page.url()).toBe(target)
    expect(site.received.at(-1)).toMatchObject({
      target: '/app/board%20one?x=1&y=%zz&return=/z',
      headers: { 'x-auth-user': 'admin', 'x-auth-roles': 'admin' },
    })
  })

  test('gets its own cookies, and never that of the session', async () => {
    expect(await browser.cookies(site.origin)).toContainEqual(
      expect.objectContaining({ name: '__Host-audittrail', secure: true, httpOnly: true, sameSite: 'Lax' }),
    )
    await page.reload()
    expect(site.received.at(-1)?.headers.cookie).toBe('app_session=1')
    expect(JSON.stringify(site.received)).not.toContain('audittrail=')
  })

  test('opens from a link of another site, and in a new tab', async () => {
    for (const elsewhere of [site.sibling, site.foreign]) {
      const tab = await browser.newPage()
      await tab.goto(elsewhere)
      await tab.evaluate(`document.body.innerHTML = '<a href="${site.origin}/app/linked">open</a>'`)
      await tab.getByRole('link').click()
      await tab.getByRole('heading', { name: 'Hello, admin' }).waitFor()
      await tab.goto(`${site.origin}/docs/`)
      await tab.getByRole('heading', { name: 'Secret docs' }).waitFor()
      await tab.close()
    }
  })

  test('explains a missing role to people, and returns 403 to scripts', async () => {
    await page.goto(`${site.origin}/staff/x`)
    expect(new URL(page.url()).pathname).toBe('/api/refused')
    await page.goto(`${site.origin}/app/`)
    expect(await page.evaluate(`fetch('/staff/x').then(({ status }) => status)`)).toBe(403)
  })

  const sayHello = (from: Page) =>
    from.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket('${site.origin.replace('https', 'wss')}/app/live')
      socket.onopen = () => socket.send('hello')
      socket.onmessage = ({ data }) => resolve(data)
      socket.onerror = () => resolve('refused')
    })`)

  test('opens WebSockets of its own pages only', async () => {
    await page.goto(`${site.origin}/app/`)
    expect(await sayHello(page)).toBe('echo hello')
    site.received.splice(0)
    for (const elsewhere of [site.sibling, site.foreign]) {
      await page.goto(elsewhere)
      expect({ elsewhere, answer: await sayHello(page) }).toEqual({ elsewhere, answer: 'refused' })
    }
    expect(site.received).toEqual([])
  })

  test('accepts fetch and forms of its own pages', async () => {
    await page.goto(`${site.origin}/app/`)
    const post = `fetch('/app/save', { method: 'POST', body: 'x' }).then(({ status }) => status)`
    expect(await page.evaluate(post)).toBe(200)
    await page.evaluate(submitForm(`${site.origin}/app/form`, 'POST'))
    await until(() => site.received.some(({ method, target }) => method === 'POST' && target === '/app/form'))
  })

  const attacks = {
    'a form': (url: string) => submitForm(url, 'POST'),
    'a form in a frame': (url: string) => `{
      const frame = document.body.appendChild(document.createElement('iframe'))
      frame.name = 'inner'
      ${submitForm(url, 'POST', 'inner')}
    }`,
    fetch: (url: string) => `void fetch('${url}', { mode: 'no-cors', credentials: 'include' }).catch(() => {})`,
    'a POST by fetch': (url: string) =>
      `void fetch('${url}', { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'a' }).catch(() => {})`,
    'a page in a frame': (url: string) =>
      `void document.body.appendChild(Object.assign(document.createElement('iframe'), { src: '${url}' }))`,
    'an image': (url: string) => `void (new Image().src = '${url}')`,
    'a script': (url: string) =>
      `void document.body.appendChild(Object.assign(document.createElement('script'), { src: '${url}' }))`,
  }

  test.each(Object.entries(attacks))('rejects %s of a sibling and of a foreign site', async (_, attack) => {
    site.received.splice(0)
    for (const elsewhere of ['sibling', 'foreign'] as const)
      for (const path of ['/app/attacked', '/docs/']) {
        const former = site.statusesOf(path).length
        const attacker = await browser.newPage()
        await attacker.goto(site[elsewhere])
        await attacker.evaluate(attack(site.origin + path))
        // Chromium hides the status of some responses from the page, so it comes from the access
        // log.
        await until(() => site.statusesOf(path).length > former)
        // Browsers send the cookie with requests of siblings, and not with these of a foreign site.
        const rejections = elsewhere === 'sibling' ? [403] : [401, 403]
        expect(rejections).toContain(site.statusesOf(path).at(-1) ?? 0)
        await attacker.close()
      }
    expect(site.received).toEqual([])
  })

  test('is not shown by Back after signing out', async () => {
    await page.goto(`${site.origin}/docs/`)
    await page.goto(`${site.origin}/app/last`)
    await page.goto(`${site.origin}/api/sign-out`)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByText('You are signed out.').waitFor()
    site.received.splice(0)
    for (let step = 0; step < 3; step++) {
      await page.goBack()
      expect(await page.locator('h1').textContent()).not.toMatch(/Hello|Secret/)
    }
    await page.goto(`${site.origin}/app/`)
    expect(new URL(page.url()).pathname).toBe('/api/sign-in')
    expect(site.received).toEqual([])
  })
})

function submitForm(url: string, method: string, target = '_self'): string {
  return `{
    const form = document.createElement('form')
    Object.assign(form, { method: '${method}', action: '${url}', target: '${target}' })
    document.body.append(form)
    form.submit()
  }`
}
