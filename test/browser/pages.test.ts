import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BrowserContext, Page } from 'playwright-core'
import { type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hasChromium, openChromium } from './chromium.ts'
import { accessibilityProblems, fitsWidth, watchPolicy } from './pageAudit.ts'

const password = 'a long enough pass phrase'
const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PAGE_TITLE: 'Northwind',
  PASSWORD_TIME_COST: '1',
}

describe.skipIf(!hasChromium)('the pages in Chromium', () => {
  let server: Server
  let browser: BrowserContext
  let plain: BrowserContext
  const violations: string[] = []
  beforeAll(async () => {
    server = await serve({ environment: { ...environment, DATABASE_URL: await createDatabase() } })
    browser = await openChromium()
    plain = await openChromium({ javaScriptEnabled: false })
  })
  afterAll(async () => {
    await browser.close()
    await plain.close()
    await server.stop()
  })

  async function openPage(context: BrowserContext): Promise<Page> {
    await context.clearCookies()
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    if (context === browser) await watchPolicy(page, violations)
    return page
  }

  async function signIn(page: Page, target = ''): Promise<void> {
    await page.goto(`${server.url}/sign-in${target === '' ? '' : `?return=${target}`}`)
    await page.getByLabel('Username').fill('admin')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  test('the whole flow works without JavaScript', async () => {
    const page = await openPage(plain)
    await page.goto(`${server.url}/account/activity`)
    expect(await page.title()).toBe('Sign in to Northwind')
    await page.getByLabel('Username').fill('admin')
    await page.getByLabel('Password', { exact: true }).fill('open sesame')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForLoadState()
    expect(await page.title()).toBe('Error: Sign in to Northwind')
    expect(await page.getByRole('alert').textContent()).toContain('Incorrect username or password.')
    expect(await page.getByLabel('Username').inputValue()).toBe('admin')
    expect(await page.getByRole('button', { name: 'Show password' }).count()).toBe(0)
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    expect(page.url()).toBe(`${server.url}/account/activity`)
    for (const [name, path] of [
      ['Devices', '/account/sessions'],
      ['Password', '/account/password'],
      ['Overview', '/account'],
    ] as const) {
      await page.getByRole('navigation').getByRole('link', { name }).click()
      expect(page.url()).toBe(server.url + path)
      expect(await page.locator('[aria-current=page]').textContent()).toBe(name)
    }
    await page.getByRole('button', { name: 'Sign out' }).click()
    expect(await page.getByRole('status').textContent()).toBe('You are signed out.')
    await page.goto(`${server.url}/account`)
    expect(await page.title()).toBe('Sign in to Northwind')
    await page.close()
  })

  test('signing in leads back to the page with its query and fragment', async () => {
    const page = await openPage(browser)
    await signIn(page, '/api/docs?tab=costs&x=1#part')
    await page.waitForURL(`${server.url}/docs?tab=costs&x=1#part`)
    // The server never sees the fragment of this navigation.
    await page.goto(`${server.url}/sign-in?return=/api/docs?y=%zz`)
    expect(page.url()).toBe(`${server.url}/docs?y=%zz`)
    await page.close()
  })

  test('Back after signing out shows nothing of the account', async () => {
    const page = await openPage(browser)
    await signIn(page)
    await page.getByText('Default Admin').waitFor()
    await page.getByRole('link', { name: 'Manage devices' }).click()
    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click()
    await page.getByText('You are signed out.').waitFor()
    for (let step = 0; step < 2; step++) {
      await page.goBack()
      await page.getByRole('heading', { name: 'Sign in to Northwind' }).waitFor()
      expect(await page.content()).not.toContain('Default Admin')
    }
    await page.close()
  })

  test('a password is shown while the button is pressed, and sent as a password', async () => {
    const page = await openPage(browser)
    await page.goto(`${server.url}/sign-in`)
    const [field, show] = [page.locator('#password'), page.getByRole('button', { name: 'Show password' })]
    await field.fill(password)
    await show.click()
    expect([await field.getAttribute('type'), await show.getAttribute('aria-pressed')]).toEqual(['text', 'true'])
    await show.click()
    expect([await field.getAttribute('type'), await show.getAttribute('aria-pressed')]).toEqual(['password', 'false'])
    await page.close()
  })

  test('the keyboard alone is enough', async () => {
    const page = await openPage(browser)
    await page.goto(`${server.url}/sign-in`)
    await page.locator('input:focus').waitFor()
    await page.keyboard.type('admin')
    await page.keyboard.press('Tab')
    await page.keyboard.type(password)
    await page.keyboard.press('Enter')
    await page.getByText('Default Admin').waitFor()
    await page.keyboard.press('Tab')
    expect(await focused(page)).toBe('Skip to content')
    const visited: string[] = []
    for (let press = 0; press < 12; press++) {
      await page.keyboard.press('Tab')
      visited.push(await focused(page))
      const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
      if (visited.at(-1) !== '') expect([visited.at(-1), outline]).toEqual([visited.at(-1), 'solid'])
    }
    expect(visited.slice(0, 8)).toEqual([
      ...['Sign out', 'Overview', 'Password', 'Devices', 'Activity'],
      ...['Change password', 'Manage devices', 'All activity'],
    ])
    await page.close()
  })

  test('times are local, and accessible pages fit a small phone with real data', async () => {
    const page = await openPage(browser)
    await page.setViewportSize({ width: 320, height: 640 })
    await signIn(page)
    await page.getByText('Default Admin').waitFor()
    for (const path of [
      '/account',
      '/account/sessions',
      '/account/password',
      '/account/activity',
      '/sign-out',
      '/refused',
    ]) {
      await page.goto(server.url + path)
      expect([path, await accessibilityProblems(page)]).toEqual([path, []])
      expect([path, await page.evaluate(fitsWidth)]).toEqual([path, true])
    }
    await page.goto(`${server.url}/account/sessions`)
    expect(await page.locator('time').first().textContent()).not.toContain('UTC')
    expect(await page.locator('time').first().getAttribute('title')).toContain('UTC')
    await page.close()
  })

  test('a user whose password an administrator set changes it first', async () => {
    const headers = { authorization: `Bearer ${await tokenOf(server.url)}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ username: 'newcomer', full_name: 'New Comer' })
    const created = await fetch(`${server.url}/users`, { method: 'POST', headers, body })
    const { one_time_password: initial } = (await created.json()) as { one_time_password: string }
    const page = await openPage(browser)
    await page.goto(`${server.url}/sign-in?return=/api/docs#part`)
    await page.getByLabel('Username').fill('newcomer')
    await page.getByLabel('Password', { exact: true }).fill(initial)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Choose a new password' }).waitFor()
    await page.getByLabel('Current password').fill(initial)
    await page.getByLabel('New password').fill('short')
    await page.getByRole('button', { name: 'Change password' }).click()
    await page.getByRole('alert').getByText('must have at least 12 characters').waitFor()
    await page.getByLabel('Current password').fill(initial)
    await page.getByLabel('New password').fill('my very own pass phrase')
    await page.getByRole('button', { name: 'Change password' }).click()
    await page.waitForURL(`${server.url}/docs#part`)
    await page.close()
  })

  test('no page violated the content security policy or threw an error', () => {
    expect(violations).toEqual([])
  })

  async function tokenOf(url: string): Promise<string> {
    const response = await fetch(`${url}/auth/login`, {
      method: 'POST',
      body: new URLSearchParams({ username: 'admin', password }),
    })
    return ((await response.json()) as { access_token: string }).access_token
  }
})

function focused(page: Page): Promise<string> {
  return page.evaluate(`document.activeElement === document.body ? '' : document.activeElement.textContent.trim()`)
}
