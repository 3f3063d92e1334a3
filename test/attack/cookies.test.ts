import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { accessToken, type Server, serve } from '../binary/binary.ts'
import type { OpenApiDocument } from '../document.ts'
import { createDatabase } from '../postgresql.ts'
import { requestText, sendRaw } from './rawHttp.ts'

// The cookie of a browser session, as an attacker would change, plant or borrow it.

const password = 'a long enough pass phrase'
const fromPage = { 'sec-fetch-site': 'same-origin' }
const foreign = {
  'a foreign site': { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  'a sibling': { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate' },
  'a foreign Origin': { origin: 'https://evil.example' },
  'an opaque origin': { origin: 'null' },
  nowhere: {},
} as const

let server: Server
let value: string
let document: OpenApiDocument
beforeAll(async () => {
  const environment = {
    DATABASE_URL: await createDatabase(),
    SECRET_KEY: 'k'.repeat(32),
    ADMIN_PASSWORD: password,
    PASSWORD_MEMORY_KIB: '8192',
    PASSWORD_TIME_COST: '1',
  }
  server = await serve({ environment })
  value = await signIn()
  document = (await (await fetch(`${server.url}/openapi.json`)).json()) as OpenApiDocument
})
afterAll(() => server.stop())

type Headers = Readonly<Record<string, string>>

const send = (method: string, path: string, headers: Headers, fields?: Readonly<Record<string, string>>) =>
  fetch(server.url + path, {
    method,
    headers,
    redirect: 'manual',
    ...(fields ? { body: new URLSearchParams(fields) } : {}),
  })

const cookieOf = (response: Response) =>
  response.headers
    .getSetCookie()
    .map((line) => /^audittrail=([^;]+)/.exec(line)?.[1])
    .find(Boolean) ?? ''

async function signIn(cookie = '', headers: Headers = fromPage): Promise<string> {
  return cookieOf(await send('POST', '/sign-in', { ...headers, cookie }, { username: 'admin', password }))
}

const isSignedIn = async (cookie: string) =>
  (await send('GET', '/auth/session', { ...fromPage, cookie: `audittrail=${cookie}` })).status === 200

/** The statuses of the routes that accept the cookie, each sent byte for byte. */
async function statusesFor(line: string): Promise<readonly number[]> {
  const headers = ['Sec-Fetch-Site: same-origin', 'X-Original-Method: GET', line]
  const paths = ['/api/auth/session', '/api/auth/verify', '/api/account']
  return Promise.all(
    paths.map(async (path) => (await sendRaw(server.origin, requestText('GET', path, headers))).status),
  )
}

/** The page leads to the sign-in page. */
const rejected = [401, 401, 303]

describe('a changed cookie', () => {
  test('is rejected, whatever its bytes are', async () => {
    expect(await statusesFor(`Cookie: audittrail=${value}`)).toEqual([200, 204, 200])
    const bytes = fc.string({
      unit: fc
        .integer({ min: 0x20, max: 0xff })
        .filter((code) => code !== 0x7f)
        .map((code) => String.fromCharCode(code)),
      maxLength: 100,
    })
    const changed = fc.oneof(
      bytes,
      bytes.map((text) => `ats_${text}`),
      fc.tuple(fc.nat(value.length - 1), bytes).map(([at, text]) => value.slice(0, at) + text),
      fc
        .tuple(fc.integer({ min: 4, max: value.length - 1 }), fc.constantFrom(...'ABCabc019-_~'))
        .map(([at, letter]) => value.slice(0, at) + letter + value.slice(at + 1)),
    )
    await fc.assert(
      fc.asyncProperty(changed, async (text) => {
        fc.pre(text.trim() !== value && !/^[^;]*;\s*audittrail=/.test(text))
        expect([text, ...(await statusesFor(`Cookie: audittrail=${text}`))]).toEqual([text, ...rejected])
      }),
      { numRuns: 150 },
    )
  })

  test('is rejected if it is long, doubled, or made of parts of a token', async () => {
    const token = await accessToken(server.url, 'admin', password)
    const [head = '', body = '', signature = ''] = token.split('.')
    const parts = [
      token,
      head,
      body,
      signature,
      `${head}.${body}`,
      `ats_${signature}`,
      `ats_${body}`,
      `Bearer ${token}`,
    ]
    const lines = [
      ...parts.map((part) => `audittrail=${part}`),
      `audittrail=${'x'.repeat(8192)}`,
      `audittrail=${value}${'A'.repeat(8192)}`,
      `audittrail=${value}; audittrail=${value}`,
      `audittrail=${value}; a=b; audittrail=`,
      `audittrail=; audittrail=${value}`,
      `audittrail="${value}"`,
      `AUDITTRAIL=${value}`,
      `__Host-audittrail=${value}`,
      `__Secure-audittrail=${value}`,
      `xaudittrail=${value}`,
      `audittrail%3D${value}`,
      `audittrail=${value.slice(0, -1)}`,
      `audittrail=${value}=`,
      `audittrail=${encodeURIComponent(`${value}\0`)}`,
    ]
    for (const line of lines) expect([line, ...(await statusesFor(`Cookie: ${line}`))]).toEqual([line, ...rejected])
    // Two headers are joined, by Bun as by Nginx.
    const twice = `Cookie: audittrail=${value}\r\nCookie: audittrail=${value}`
    expect(await statusesFor(twice)).toEqual(rejected)
    expect(await isSignedIn(value)).toBe(true)
  })

  test('is no token, and a token is no cookie', async () => {
    for (const path of ['/auth/me', '/auth/verify', '/users'])
      expect((await send('GET', path, { authorization: `Bearer ${value}` })).status).toBe(401)
    for (const field of ['refresh_token', 'token'])
      expect((await send('POST', '/auth/refresh', {}, { grant_type: 'refresh_token', [field]: value })).status).toBe(
        400,
      )
  })
})

describe('a session that someone planted', () => {
  test('is not the one that the victim signs in to, and ends', async () => {
    const planted = await signIn()
    const own = await signIn(`audittrail=${planted}`)
    expect(own).not.toBe(planted)
    expect([await isSignedIn(planted), await isSignedIn(own)]).toEqual([false, true])
    for (const made of ['', 'x', `ats_${'A'.repeat(70)}`]) {
      const next = await signIn(`audittrail=${made}`)
      expect(next).not.toBe(made)
      expect(await isSignedIn(next)).toBe(true)
    }
  })

  test.each(Object.entries(foreign))('cannot be started from %s', async (_, headers) => {
    expect(await signIn('', headers)).toBe('')
    const json = { ...headers, 'content-type': 'text/plain' }
    const init = { method: 'POST', headers: json, body: JSON.stringify({ username: 'admin', password }) }
    const response = await fetch(`${server.url}/auth/session`, init)
    expect([response.status, response.headers.getSetCookie()]).toEqual([403, []])
  })
})

describe('a request of another origin with the cookie', () => {
  const pages = ['/sign-in', '/sign-out', '/account/password', '/account/sessions']

  test('changes nothing on any route, and has no more effect than without it', async () => {
    const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations)
        .filter((method) => !['get', 'head', 'parameters'].includes(method))
        .map((method) => ({ method: method.toUpperCase(), path: path.replace('/api', '') })),
    )
    expect(documented.length).toBeGreaterThan(15)
    const routes = [...documented, ...pages.map((path) => ({ method: 'POST', path }))]
    for (const { method, path } of routes) {
      const target = path.replaceAll(/\{\w+\}/g, crypto.randomUUID())
      for (const [origin, headers] of Object.entries(foreign)) {
        const { status } = await send(method, target, { ...headers, cookie: `audittrail=${value}` })
        const without = await send(method, target, headers)
        const route = `${method} ${path} from ${origin}`
        expect([route, status >= 400 && status < 500]).toEqual([route, true])
        expect([route, [403, without.status].includes(status)]).toEqual([route, true])
      }
    }
    expect(await isSignedIn(value)).toBe(true)
  })

  test('reads nothing of the API, and of pages only what a link shows', async () => {
    const cookie = `audittrail=${value}`
    const safe = Object.entries(foreign).filter(([name]) => name !== 'nowhere')
    for (const [origin, headers] of safe) {
      for (const path of ['/auth/session', '/auth/me', '/auth/sessions', '/auth/activity'])
        expect([origin, path, (await send('GET', path, { ...headers, cookie })).status]).toEqual([origin, path, 403])
      const frame = { ...headers, 'sec-fetch-mode': 'no-cors', cookie }
      expect([origin, (await send('GET', '/account', frame)).status]).toEqual([origin, 303])
    }
  })
})

describe('the cookie at administration, tokens and introspection', () => {
  test('gets the response that no credential gets, byte for byte', async () => {
    const guarded = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations as Readonly<Record<string, { readonly security?: readonly object[] }>>)
        .filter(([, { security = [] }]) => security.length > 0 && !security.some((scheme) => 'sessionCookie' in scheme))
        .map(([method]) => ({ method: method.toUpperCase(), path: path.replace('/api', '') })),
    )
    expect(guarded.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['/users', '/users/{id}', '/api-keys', '/blocks', '/audit/events', '/auth/introspect']),
    )
    const open = ['/auth/login', '/auth/refresh', '/auth/revoke'].map((path) => ({ method: 'POST', path }))
    for (const { method, path } of [...guarded, ...open]) {
      const target = path.replaceAll(/\{\w+\}/g, crypto.randomUUID())
      const headers = { ...fromPage, 'x-request-id': 'the-same' }
      const answer = async (more: Headers) => {
        const response = await send(method, target, { ...headers, ...more })
        return [method, path, response.status, response.headers.get('www-authenticate'), await response.text()]
      }
      const withCookie = await answer({ cookie: `audittrail=${value}` })
      expect(withCookie).toEqual(await answer({}))
      expect([path, open.some((route) => route.path === path) ? 401 : withCookie[2]]).toEqual([path, 401])
    }
  })
})
