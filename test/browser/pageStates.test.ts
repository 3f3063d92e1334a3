import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BrowserContext } from 'playwright-core'
import { pageResponse } from '../../src/http/pages/pageResponse.ts'
import { frameOf, statesOf, usual } from '../pages/states.ts'
import { hasChromium, openChromium } from './chromium.ts'
import { accessibilityProblems, fitsWidth, smallTargets, watchPolicy } from './pageAudit.ts'

const root = join(import.meta.dir, '../..')
const assets: Readonly<Record<string, readonly [string, string]>> = {
  'page.css': ['dist/pages/page.css', 'text/css'],
  'page.js': ['dist/pages/page.browser.txt', 'text/javascript'],
  'page.svg': ['src/http/discovery/icon.svg', 'image/svg+xml'],
}
const states = statesOf()

describe.skipIf(!hasChromium)('every page in every state in Chromium', () => {
  let browser: BrowserContext
  let server: ReturnType<typeof Bun.serve>
  let html = ''
  beforeAll(async () => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: ({ url }) => {
        const [file, type] = assets[new URL(url).pathname.split('/').at(-1) ?? ''] ?? []
        if (!file || !type) return pageResponse(html)
        return new Response(readFileSync(join(root, file)), { headers: { 'content-type': type } })
      },
    })
    browser = await openChromium()
  })
  afterAll(async () => {
    await browser.close()
    await server.stop(true)
  })

  test.each([
    [320, 'light'],
    [320, 'dark'],
    [1280, 'light'],
    [1280, 'dark'],
  ] as const)(
    'is accessible, fits %i pixels and violates no policy, in %s',
    async (width, colorScheme) => {
      const page = await browser.newPage()
      const violations: string[] = []
      await watchPolicy(page, violations)
      await page.setViewportSize({ width, height: 800 })
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      for (const [name, { path, render }] of Object.entries(states)) {
        html = render(frameOf(usual, path))
        await page.goto(`http://127.0.0.1:${server.port}/api${path}`)
        expect([name, await accessibilityProblems(page)]).toEqual([name, []])
        expect([name, await page.evaluate(fitsWidth)]).toEqual([name, true])
        expect([name, await page.evaluate(smallTargets)]).toEqual([name, []])
      }
      expect(violations).toEqual([])
      await page.close()
    },
    180_000,
  )

  test('shows hostile texts as texts, without a violation', async () => {
    const page = await browser.newPage()
    const violations: string[] = []
    await watchPolicy(page, violations)
    const text = `"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}`
    const hostile = { ...usual, title: text, username: text, fullName: text, role: text, activity: text, rule: text }
    for (const [name, { path, render }] of Object.entries(statesOf(hostile))) {
      html = render(frameOf(hostile, path))
      await page.goto(`http://127.0.0.1:${server.port}/api${path}`)
      const strange = await page.evaluate(
        `document.querySelectorAll('img, script:not([type=module]), [onerror]').length`,
      )
      expect([name, strange]).toEqual([name, 0])
      expect(await page.title()).toContain('<img src=x onerror=alert(1)>')
    }
    expect(violations).toEqual([])
    await page.close()
  })

  test('moves the focus to the summary of errors, and its links to the fields', async () => {
    const page = await browser.newPage()
    for (const [name, { path, render }] of Object.entries(states)) {
      html = render(frameOf(usual, path))
      if (!html.includes('role="alert"')) continue
      await page.goto(`http://127.0.0.1:${server.port}/api${path}`)
      expect([name, await page.evaluate('document.activeElement.getAttribute("role")')]).toEqual([name, 'alert'])
      const link = page.locator('.problem a').first()
      if ((await link.count()) === 0) continue
      await link.click()
      expect(await page.evaluate('document.activeElement.getAttribute("aria-invalid")')).toBe('true')
    }
    await page.close()
  })
})
