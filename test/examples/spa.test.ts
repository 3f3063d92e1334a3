import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, cpSync } from 'node:fs'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import postgres from 'postgres'
import { type Server, serve } from '../binary/binary.ts'
import { hasChromium, openChromium } from '../browser/chromium.ts'
import { hasNginx, type Nginx } from '../deploy/nginx.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { createDatabase } from '../postgresql.ts'
import { examples, startSite, startUpstream, upstreams } from './upstream.ts'

const password = 'a long enough pass phrase'

describe.skipIf(!(hasNginx && hasChromium))('examples/spa in Chromium, behind the output of audittrail nginx', () => {
  let databaseUrl: string
  let server: Server
  let nginx: Nginx
  let browser: BrowserContext
  let page: Page
  const faults: string[] = []

  beforeAll(async () => {
    databaseUrl = await createDatabase()
    const environment = { DATABASE_URL: databaseUrl, SECRET_KEY: 'k'.repeat(32), ADMIN_PASSWORD: password }
    server = await serve({ environment: { ...environment, TRUSTED_PROXIES: '127.0.0.1' } })
    const [bun] = upstreams
    const upstream = await startUpstream(...bun, { AUTH: 'nginx' })
    // Where Nginx's worker user can read it.
    const root = temporaryDirectory('spa')
    chmodSync(root, 0o755)
    cpSync(join(examples, 'spa'), root, { recursive: true })
    const args = ['--root', root, '--upstream', `/notes=http://${upstream}`]
    nginx = await startSite(new URL(server.origin).host, args)
    browser = await openChromium()
    page = await browser.newPage()
    page.setDefaultTimeout(10_000)
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => {
      if (/Content Security Policy|MIME/.test(message.text())) faults.push(message.text())
    })
    await page.goto(nginx.origin)
  })
  afterAll(async () => {
    await browser?.close()
    await nginx?.stop()
    await server?.stop()
  })

  const status = (text: string) => page.locator('[role=status]', { hasText: text }).waitFor()
  const signIn = async (word: string) => {
    await page.getByLabel('Username').fill('admin')
    await page.getByLabel('Password').fill(word)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  const add = async (text: string) => {
    await page.getByRole('textbox', { name: 'Note' }).fill(text)
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByRole('listitem').filter({ hasText: text }).waitFor()
  }

  test('reports a wrong password and signs in with the right one', async () => {
    await signIn('wrong')
    await status('Incorrect username or password')
    await signIn(password)
    await page.locator('#who', { hasText: 'admin' }).waitFor()
    expect(await page.evaluate('localStorage.length + sessionStorage.length + document.cookie.length')).toBe(0)
  })

  test('calls the protected API and shows stored data as text', async () => {
    await add('milk')
    await add('<img src=x onerror=alert(1)>')
    expect(await page.locator('li').allTextContents()).toEqual(['milk', '<img src=x onerror=alert(1)>'])
  })

  test('stays signed in after a reload and in a second tab', async () => {
    await page.reload()
    await page.locator('#who', { hasText: 'admin' }).waitFor()
    const tab = await browser.newPage()
    await tab.goto(nginx.origin)
    await tab.locator('#who', { hasText: 'admin' }).waitFor()
    await tab.close()
  })

  test('asks to sign in again after the session has ended', async () => {
    const client = postgres(databaseUrl, { max: 1 })
    await client`DELETE FROM audittrail_sessions`
    await client.end()
    await page.getByRole('textbox', { name: 'Note' }).fill('lost')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.locator('#sign-in').waitFor()
    expect(await page.locator('main').isHidden()).toBe(true)
  })

  test('signs out and ends the session', async () => {
    await signIn(password)
    await page.locator('#who', { hasText: 'admin' }).waitFor()
    const ended = page.waitForResponse((response) => response.request().method() === 'DELETE')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await status('Signed out.')
    expect((await ended).ok()).toBe(true)
    await page.reload()
    await page.locator('#sign-in').waitFor()
    const client = postgres(databaseUrl, { max: 1 })
    const [active] = await client`SELECT count(*)::int AS n FROM audittrail_sessions WHERE expires_at > now()`
    await client.end()
    expect(active?.n).toBe(0)
    expect(await page.locator('li').count()).toBe(0)
  })

  test('causes no console errors', () => {
    expect(faults).toEqual([])
  })
})
