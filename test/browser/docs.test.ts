import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContext, Page } from 'playwright-core'
import { emptyDirectory, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hasChromium, openChromium } from './chromium.ts'

/** The problems of a page: console errors, failed requests, requests to other hosts. */
function complaintsOf(page: Page, origin: string): string[] {
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`))
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:'))
      complaints.push(`elsewhere: ${request.url()}`)
  })
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`)
  })
  return complaints
}

/** The first minute of a front-end developer. */
async function signInAndCallMe(page: Page): Promise<string> {
  await page.getByRole('button', { name: 'Authorize' }).first().click()
  const dialog = page.locator('.modal-ux')
  await dialog.locator('input[name="username"], #oauth_username').fill('admin')
  await dialog.locator('input[name="password"], #oauth_password').fill('changeme')
  await dialog
    .getByRole('button', { name: 'Apply given OAuth2 credentials' })
    .or(dialog.locator('button.authorize'))
    .first()
    .click()
  await dialog
    .getByRole('button', { name: /Logout|Remove/ })
    .first()
    .waitFor()
  await dialog.locator('button.btn-done:visible').first().click()
  await page.locator('#operations-Sign_in-me, [id$="-me"]').first().click()
  await page.getByRole('button', { name: 'Execute' }).click()
  const answer = page.locator('.live-responses-table .response-col_description pre').first()
  await answer.waitFor()
  return (await answer.textContent()) ?? ''
}

const visibleFields = `[...document.querySelectorAll('.modal-ux input, .modal-ux select')]
  .filter((field) => field.checkVisibility()).map(({ id }) => id)`

const isButtonOnTop = `(() => {
  const button = document.querySelector('.modal-ux button.authorize')
  const { left, top, width, height } = button.getBoundingClientRect()
  return document.elementFromPoint(left + width / 2, top + height / 2) === button
})()`

/** Runs in the page: returns the words that stand on more than one line. */
const brokenWords = `(() => {
  const broken = []
  const texts = document.createTreeWalker(document.querySelector('#swagger-ui'), NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode
    if (parentElement.closest('svg, textarea, option')) continue
    for (const { 0: word, index } of data.matchAll(/\\S+/g)) {
      const range = document.createRange()
      range.setStart(texts.currentNode, index)
      range.setEnd(texts.currentNode, index + word.length)
      const lines = new Set([...range.getClientRects()].filter((box) => box.width > 0).map((box) => Math.round(box.top)))
      if (lines.size > 1) broken.push(word)
    }
  }
  return broken
})()`

describe.skipIf(!hasChromium)('the docs page in Chromium', () => {
  let server: Server
  let browser: BrowserContext
  beforeAll(async () => {
    server = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
    browser = await openChromium({ viewport: { width: 1280, height: 900 } })
  })
  afterAll(async () => {
    await browser.close()
    await server.stop()
  })

  test('signs in through Authorize and shows the signed-in user, without console errors', async () => {
    const page = await browser.newPage()
    const complaints = complaintsOf(page, server.origin)
    await page.goto(`${server.url}/docs`)
    expect(await signInAndCallMe(page)).toContain('"full_name": "Default Admin"')
    expect(complaints).toEqual([])
    await page.close()
  })

  test.each([
    [1280, 900, 'light'],
    [1280, 900, 'dark'],
    [390, 700, 'light'],
    [390, 700, 'dark'],
  ] as const)(
    'at %i × %i asks for username and password only, with the button in sight, in %s',
    async (width, height, colorScheme) => {
      const page = await browser.newPage()
      await page.setViewportSize({ width, height })
      await page.emulateMedia({ colorScheme })
      await page.goto(`${server.url}/docs`)
      expect(await page.title()).toBe('AuditTrail API')
      expect(await page.locator('link[rel="icon"]').getAttribute('href')).toStartWith('data:image/svg+xml,')
      await page.getByRole('button', { name: 'Authorize' }).first().click()
      const dialog = page.locator('.modal-ux')
      await dialog.locator('#oauth_username').waitFor()
      expect(await page.evaluate(visibleFields)).toEqual(['oauth_username', 'oauth_password'])
      expect(await page.evaluate(`document.querySelector('.modal-ux').innerText`)).not.toMatch(/client/i)
      const button = dialog.getByRole('button', { name: 'Apply given OAuth2 credentials' })
      const box = await button.boundingBox()
      expect((box?.y ?? height) + (box?.height ?? 0)).toBeLessThanOrEqual(height)
      expect(await page.evaluate(isButtonOnTop)).toBe(true)
      await page.close()
    },
  )

  test.each([1280, 390])('breaks no word at %i pixels, with operations open', async (width) => {
    const page = await browser.newPage()
    await page.setViewportSize({ width, height: 900 })
    await page.goto(`${server.url}/docs`)
    for (const operation of ['login', 'currentSession', 'listUsers']) {
      await page.locator(`[id$="-${operation}"]`).first().click()
      await page.locator(`[id$="-${operation}"] .responses-table`).first().waitFor()
    }
    expect(await page.evaluate(brokenWords)).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    await page.close()
  })

  test('works behind a proxy that strips a prefix unknown to the service', async () => {
    const bare = await serve({ directory: emptyDirectory(), environment: { BASE_PATH: '' } })
    const proxy = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request) => {
        const { pathname, search } = new URL(request.url)
        if (!pathname.startsWith('/team/login/')) return new Response('elsewhere', { status: 404 })
        const { method, headers } = request
        const body = method === 'GET' ? {} : { body: request.body }
        return fetch(`${bare.origin}${pathname.slice('/team/login'.length)}${search}`, {
          method,
          headers,
          decompress: false,
          ...body,
        })
      },
    })
    const page = await browser.newPage()
    const complaints = complaintsOf(page, `http://127.0.0.1:${proxy.port}/team/login/`)
    await page.goto(`http://127.0.0.1:${proxy.port}/team/login/docs`)
    expect(await signInAndCallMe(page)).toContain('"full_name": "Default Admin"')
    expect(complaints).toEqual([])
    await page.close()
    proxy.stop(true)
    await bare.stop()
  })

  test('follows the color scheme of the system and fits a small screen', async () => {
    const page = await browser.newPage()
    await page.setViewportSize({ width: 390, height: 800 })
    for (const [colorScheme, isDark] of [
      ['dark', true],
      ['light', false],
    ] as const) {
      await page.emulateMedia({ colorScheme })
      await page.goto(`${server.url}/docs`)
      await page.getByText('Get the current user').first().waitFor()
      expect(await page.evaluate('document.documentElement.classList.contains("dark-mode")')).toBe(isDark)
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    }
    await page.close()
  })
})
