import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../postgresqlServer.ts'
import { hasNginx, type Nginx, startNginx, startNginxSite } from './nginx.ts'
import { printSite } from './nginxSite.ts'

const form = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
const navigation = { ...form, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const script = { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
const oldScript = { accept: 'text/html, */*', 'x-requested-with': 'XMLHttpRequest' }

const variants = ['nginx.conf', 'nginx-strip-prefix.conf', 'audittrail nginx'] as const

describe.skipIf(!hasNginx).each(variants)('an error of Nginx with %s', (variant) => {
  let nginx: Nginx
  let gone: Nginx
  const service = createServer((_, response) => response.end('fine'))
  const start = async (upstream: string) => {
    if (variant !== 'audittrail nginx') return startNginx(variant, upstream)
    const port = await freePort()
    const place = ['--server-name', 'localhost', '--listen', `127.0.0.1:${port}`, '--service', upstream]
    return startNginxSite(await printSite([...place, '--upstream', '/app=http://127.0.0.1:1']), port)
  }

  beforeAll(async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    service.listen(0, '127.0.0.1', resolve)
    await promise
    nginx = await start(`127.0.0.1:${(service.address() as AddressInfo).port}`)
    gone = await start('127.0.0.1:1')
  })
  afterAll(async () => {
    await nginx.stop()
    await gone.stop()
    service.close()
  })

  const post = (path: string, headers: Readonly<Record<string, string>>, body = 'username=ada&password=x') =>
    fetch(nginx.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
    })

  async function limited(path: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    for (let count = 0; count < 60; count++) {
      const response = await post(path, headers)
      if (response.status === 429) return response
      await response.text()
    }
    throw new Error(`${path} was never limited`)
  }

  async function expectPage(response: Response, title: string): Promise<string> {
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const html = await response.text()
    expect(html).toContain(`<title>${title}</title>`)
    expect(html).toContain(`<h1>${title}</h1>`)
    expect(html).toContain(`Request ID: ${response.headers.get('x-request-id')}<`)
    const [, style = ''] = /<style>(.*)<\/style>/.exec(html) ?? []
    const hash = createHash('sha256').update(style).digest('base64')
    expect(response.headers.get('content-security-policy')).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    )
    return html
  }

  test('about too many sign-ins is a page with the seconds for a form, with and without https', async () => {
    for (const path of ['/sign-in', '/account/password']) {
      for (const headers of [form, navigation]) {
        const response = await limited(path, headers)
        expect(response.headers.get('retry-after')).toBe('2')
        const html = await expectPage(response, 'Too many attempts')
        expect(html).toContain('Wait 2 seconds, then go back and try again.')
      }
    }
  })

  test('about too many sign-ins is JSON for a script', async () => {
    const cases = [
      ['/sign-in', script],
      ['/sign-in', oldScript],
      ['/sign-in', {}],
      ['/auth/session', script],
      ['/auth/session', form],
      ['/auth/login', form],
      ['/auth/login', {}],
    ] as const
    for (const [path, headers] of cases) {
      const response = await limited(path, headers)
      const expected = path === '/auth/login' && variant !== 'audittrail nginx' ? 'json' : 'problem+json'
      expect([path, response.headers.get('content-type')]).toEqual([path, `application/${expected}`])
      expect(response.headers.get('content-security-policy')).toBeNull()
      expect(response.headers.get('retry-after')).toBe('2')
      expect(await response.json()).toMatchObject({ title: 'Too Many Requests', status: 429 })
    }
  })

  test('about a form that is too large is a page', async () => {
    const response = await post('/sign-out', form, 'x'.repeat(70_000))
    expect(response.status).toBe(413)
    expect(response.headers.get('retry-after')).toBeNull()
    await expectPage(response, 'Too much data')
  })

  test('about a stopped service is a page for people', async () => {
    for (const [path, headers] of [
      ['/sign-in?return=/x', form],
      ['/account/sessions', form],
      ['/docs', navigation],
    ] as const) {
      const response = await fetch(gone.url + path, { headers })
      expect(response.status).toBe(502)
      await expectPage(response, 'Temporarily unavailable')
    }
    for (const headers of [script, oldScript, form, {}]) {
      const response = await fetch(`${gone.url}/auth/me`, { headers })
      expect(response.status).toBe(502)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(await response.json()).toMatchObject({ title: 'Bad Gateway', status: 502 })
    }
  })
})

test.skipIf(!hasNginx)(
  'an app that cannot be verified or reached is a page for people and JSON for scripts',
  async () => {
    const port = await freePort()
    const place = ['--server-name', 'localhost', '--listen', `127.0.0.1:${port}`, '--service', '127.0.0.1:1']
    const nginx = await startNginxSite(await printSite([...place, '--upstream', '/app=http://127.0.0.1:1']), port)
    const page = await fetch(`${nginx.origin}/app/x`, { headers: navigation })
    expect([page.status, page.headers.get('content-type')]).toEqual([503, 'text/html; charset=utf-8'])
    expect(await page.text()).toContain('<h1>Temporarily unavailable</h1>')
    const problem = await fetch(`${nginx.origin}/app/x`, { headers: form })
    expect([problem.status, problem.headers.get('content-type')]).toEqual([503, 'application/problem+json'])
    await nginx.stop()
  },
)

test('the shipped files of Nginx have the page that the printed one has', async () => {
  const printed = await printSite(['--server-name', 'localhost'])
  const pageOf = (text: string) => /<!doctype html>.*<\/html>/.exec(text)?.[0].replace(/\$\w+/g, '$')
  for (const file of ['nginx.conf', 'nginx-strip-prefix.conf'])
    expect(pageOf(readFileSync(join(import.meta.dir, '../../deploy', file), 'utf8'))).toBe(pageOf(printed) ?? '')
})
