import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContext } from 'playwright-core'
import { type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hasChromium, openChromium } from './chromium.ts'

describe.skipIf(!hasChromium)('the page at the root in Chromium', () => {
  let server: Server
  let browser: BrowserContext
  beforeAll(async () => {
    server = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
    browser = await openChromium()
  })
  afterAll(async () => {
    await browser.close()
    await server.stop()
  })

  test.each([
    [1280, 'light', 'rgb(246, 247, 246)'],
    [1280, 'dark', 'rgb(21, 25, 24)'],
    [390, 'light', 'rgb(246, 247, 246)'],
    [390, 'dark', 'rgb(21, 25, 24)'],
  ] as const)(
    'fits %i pixels in %s, without console errors, and leads to the docs',
    async (width, colorScheme, color) => {
      const page = await browser.newPage()
      const complaints: string[] = []
      page.on('console', (message) => complaints.push(message.text()))
      page.on('pageerror', (error) => complaints.push(error.message))
      await page.setViewportSize({ width, height: 800 })
      await page.emulateMedia({ colorScheme })
      for (const path of ['/', '/api', '/api/']) {
        await page.goto(server.origin + path)
        expect(await page.title()).toBe('AuditTrail')
        expect(await page.getByRole('heading').textContent()).toContain('AuditTrail is running')
        expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(color)
        expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
      }
      expect(complaints).toEqual([])
      await page.getByRole('link', { name: 'API documentation' }).click()
      await page.getByText('Get the current user').first().waitFor()
      expect(page.url()).toBe(`${server.url}/docs`)
      await page.close()
    },
  )
})
