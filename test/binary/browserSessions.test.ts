import { expect, test } from 'bun:test'
import { createDatabase } from '../postgresql.ts'
import { login, run, type Server, serve } from './binary.ts'

const password = 'a long enough pass phrase'
const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1', SECRET_KEY: 'k'.repeat(32) }
const fromPage = { 'sec-fetch-site': 'same-origin' }

/** Posts a form of a page, as a browser without JavaScript. */
function post(url: string, fields: Record<string, string>, cookie = ''): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { ...fromPage, cookie },
    body: new URLSearchParams(fields),
    redirect: 'manual',
  })
}

/** Returns the session cookie as a Cookie header. */
async function signIn(base: string, stay = false): Promise<string> {
  const fields = { username: 'admin', password, ...(stay ? { stay: 'true' } : {}) }
  const response = await post(`${base}/sign-in`, fields)
  expect([response.status, response.headers.get('location')]).toEqual([303, 'account'])
  const [line = ''] = response.headers.getSetCookie()
  expect(line).toMatch(/^audittrail=ats_[\w-]{70}(; Max-Age=\d+)?; Path=\/; HttpOnly; SameSite=Lax$/)
  return line.split(';')[0] ?? ''
}

const statusOf = async (url: string, cookie: string) =>
  (await fetch(url, { headers: { ...fromPage, cookie }, redirect: 'manual' })).status

async function expectAssets(page: string, cookie = ''): Promise<void> {
  const html = await (await fetch(page, { headers: { ...fromPage, cookie } })).text()
  const urls = [...html.matchAll(/(?:href|src)="([^"#?]+\.(?:css|js|svg))"/g)].map(([, url = '']) => url)
  expect(urls.length).toBe(3)
  for (const url of urls) {
    const { status, headers } = await fetch(new URL(url, page))
    expect([page, url, status]).toEqual([page, url, 200])
    expect(headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  }
}

test.each(['', '/auth', '/deeply/nested/base'])('the pages work below BASE_PATH %p', async (basePath) => {
  const environment = { ...cheap, ADMIN_PASSWORD: password, BASE_PATH: basePath }
  const server = await serve({ environment })
  const base = server.origin + basePath
  for (const path of ['/account', '/account/sessions', '/account/password', '/account/activity']) {
    const sent = await fetch(base + path, { redirect: 'manual' })
    expect(sent.status).toBe(303)
    const target = new URL(sent.headers.get('location') ?? '', base + path)
    expect(target.pathname).toBe(`${basePath}/sign-in`)
  }
  await expectAssets(`${base}/sign-in`)
  await expectAssets(`${base}/sign-in/`)
  const cookie = await signIn(base)
  for (const path of ['/account', '/account/sessions', '/account/password', '/account/activity']) {
    expect(await statusOf(base + path, cookie)).toBe(200)
    await expectAssets(base + path, cookie)
    const html = await (await fetch(base + path, { headers: { ...fromPage, cookie } })).text()
    const links = [...html.matchAll(/<a [^>]*href="([^"#]+)"|<form [^>]*action="([^"]+)"/g)]
    expect(links.length).toBeGreaterThan(3)
    for (const [, href, action] of links) {
      const url = new URL(href ?? action ?? '', base + path)
      expect(url.pathname.startsWith(`${basePath}/`)).toBe(true)
      expect([url.pathname, await statusOf(url.href, cookie)]).toEqual([url.pathname, 200])
    }
  }
  const out = await post(`${base}/sign-out`, {}, cookie)
  expect(new URL(out.headers.get('location') ?? '', `${base}/sign-out`).pathname).toBe(`${basePath}/sign-in`)
  expect(out.headers.getSetCookie()[0]).toBe('audittrail=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax')
  expect(await statusOf(`${base}/auth/session`, cookie)).toBe(401)
  await server.stop()
})

test('with PAGES=off no page, cookie, setting or endpoint of the feature is reachable or documented', async () => {
  const database = { DATABASE_URL: await createDatabase(), ...cheap }
  const on = await serve({ environment: { ...database, ADMIN_PASSWORD: password } })
  const cookie = await signIn(on.url)
  expect(await statusOf(`${on.url}/auth/session`, cookie)).toBe(200)
  await on.stop()
  const off = await serve({ environment: { ...database, PAGES: 'off' } })
  for (const path of ['/sign-in', '/sign-out', '/refused', '/account', '/account/password', '/account/sessions']) {
    expect([path, await statusOf(off.url + path, cookie)]).toEqual([path, 404])
    expect([path, (await post(off.url + path, { username: 'admin', password }, cookie)).status]).toEqual([path, 404])
  }
  for (const path of ['/auth/session', '/auth/me', '/auth/sessions', '/auth/verify'])
    expect([path, await statusOf(off.url + path, cookie)]).toEqual([path, 401])
  for (const method of ['POST', 'DELETE'])
    expect((await fetch(`${off.url}/auth/session`, { method, headers: { ...fromPage, cookie } })).status).toBe(405)
  const document = await (await fetch(`${off.url}/openapi.json`)).text()
  expect(document.match(/startSession|"endSession"|sessionCookie|__Host-|Sec-Fetch-Site/g)).toBeNull()
  const landing = await (await fetch(`${off.url}/`, { headers: { accept: 'text/html' } })).text()
  expect(landing).not.toContain('sign-in')
  expect((await login(off.url, 'admin', password)).status).toBe(200)
  await off.stop()
  const options = { environment: { ...database, PAGES: 'off' } }
  const printed = await run(['nginx', '--server-name', 'a.example', '--upstream', '/x=http://127.0.0.1:1'], options)
  expect(printed.stdout).not.toMatch(/\/sign-in|http_cookie|sec_fetch/)
})

test('one cookie works on every replica, and ends on all of them', async () => {
  const environment = { DATABASE_URL: await createDatabase(), ADMIN_PASSWORD: password, ...cheap }
  const [first, second] = [await serve({ environment }), await serve({ environment })]
  const cookie = await signIn(first.url)
  for (const { url } of [first, second]) expect(await statusOf(`${url}/account`, cookie)).toBe(200)
  const change = { current_password: password, new_password: 'quite another pass phrase' }
  const changed = await post(`${second.url}/account/password`, change, cookie)
  expect(changed.status).toBe(303)
  const renewed = changed.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  expect(renewed).not.toBe(cookie)
  expect(await statusOf(`${first.url}/account`, renewed)).toBe(200)
  await post(`${first.url}/sign-out`, {}, renewed)
  for (const { url } of [first, second]) expect(await statusOf(`${url}/auth/verify`, renewed)).toBe(401)
  await Promise.all([first.stop(), second.stop()])
})

test.each(['PostgreSQL', 'the embedded database'])('session list names the credential on %s', async (kind) => {
  const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
  const server: Server = await serve({ environment: { ...database, ADMIN_PASSWORD: password, ...cheap } })
  await signIn(server.url)
  await signIn(server.url, true)
  await login(server.url, 'admin', password)
  const list = async (...flags: string[]) => {
    const { stdout, stderr } = await run(['session', 'list', 'admin', ...flags], {
      environment: { ...database, ...cheap },
      directory: server.directory,
    })
    expect(stderr).toBe('')
    return stdout
  }
  const clients = (await list()).split('\n').filter((line) => line.startsWith(' '))
  expect(clients.map((line) => line.replace(/^ {2}127\.0\.0\.1 {2}Bun\S+ {2}/, '')).sort()).toEqual([
    'browser',
    'browser, stays signed in',
    'token',
  ])
  const items = JSON.parse(await list('--json')) as { kind?: string; stay?: boolean }[]
  expect(items.map(({ kind, stay }) => `${kind} ${stay}`).sort()).toEqual([
    'browser false',
    'browser true',
    'undefined undefined',
  ])
  await server.stop()
})
