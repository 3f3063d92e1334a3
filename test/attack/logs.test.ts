import { describe, expect, test } from 'bun:test'
import { type Finished, login, run, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hmac, readToken, tokenOf } from './forgery.ts'
import { requestText, sendRaw } from './rawHttp.ts'

// The log records what happened and nothing that could be used to sign in. Clients cannot forge
// lines.

const secretKey = 'the-signing-key-of-these-attacks-0123456789'
const adminPassword = 'the-password-of-the-administrator'
const environment = {
  SECRET_KEY: secretKey,
  ADMIN_PASSWORD: adminPassword,
  TRUSTED_PROXIES: '127.0.0.1',
  LOG_LEVEL: 'debug',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

/** One line per event, with the request as it was sent. */
function expectPlainLines({ stdout }: Finished, format: 'json' | 'pretty'): Record<string, unknown>[] {
  const lines = stdout.split('\n').slice(0, -1)
  if (format === 'json') {
    for (const line of lines) {
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/u)
      expect(line).toMatch(/^\{"time":"[^"]+","level":"[a-z]+","event":"[a-z_.]+"[,}]/)
    }
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  expect(stdout).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/u)
  return []
}

describe.each(['json', 'pretty'] as const)('the log of the binary, LOG_FORMAT=%s,', (format) => {
  const open = async () =>
    serve({ environment: { ...environment, LOG_FORMAT: format, DATABASE_URL: await createDatabase() } })

  test('contains no password, token, key or hash after any operation', async () => {
    const server = await open()
    const secrets = [secretKey, adminPassword, ...(await useEverySecret(server))]
    const finished = await server.stop()
    expectPlainLines(finished, format)
    expect(finished.stdout).toContain('login.succeeded')
    expect(finished.stdout).toContain('password.change_failed')
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(7)
      expect(finished.stdout).not.toContain(secret)
      expect(finished.stderr).not.toContain(secret)
    }
    expect(finished.stdout).not.toMatch(/\$argon2|eyJ[\w-]+\.|at[rk]_/)
  }, 60_000)

  test('has one line per request, whatever bytes it contains', async () => {
    const server = await open()
    const hostile = [
      '\x1b]0;title\x07\x1b[2J',
      '\x9b31m',
      '\xe2\x80\xae\xe2\x80\xa8',
      '"},"event":"login.failed","address":"198.51.100.66',
      '%0d%0a%7b%22event%22:%22forged%22%7d',
      '\\u000a\\n',
      '\xff\xfe\xc0\xaf\xed\xa0\x80',
      `\${jndi:ldap://127.0.0.1/x}`,
      'forged event=login.failed address=198.51.100.66',
      'x'.repeat(8000),
    ]
    let answered = 0
    for (const text of hostile) {
      const target = text.replaceAll(' ', '%20')
      const requests = [
        requestText('GET', `/api/${target}`),
        requestText('GET', `/api/auth/me?x=${target}`),
        requestText('GET', '/api/health', [`X-Request-Id: ${text}`, `User-Agent: ${text}`]),
        requestText('GET', '/api/health', [`X-Forwarded-For: ${text}`, `Cookie: ${text}`, `Referer: ${text}`]),
        requestText('POST', '/api/auth/logout', [`Authorization: Bearer ${text}`, 'Content-Length: 0']),
        requestText('GET', '/api/health', [`Origin: ${text}`, `X-${target.length}: ${text}`]),
      ]
      for (const request of requests) {
        const { head, status } = await sendRaw(server.origin, request)
        // Requests that Bun rejects itself (400, 431, 505) never reach the application.
        expect(status).not.toBe(500)
        if (head.some((line) => line.startsWith('x-request-id:'))) answered++
      }
    }
    const finished = await server.stop()
    const lines = expectPlainLines(finished, format)
    expect(finished.stdout).not.toContain('198.51.100.66')
    expect(answered).toBeGreaterThan(20)
    if (format === 'pretty') expect(finished.stdout.match(/^\S+ info {2}request method=/gm)).toHaveLength(answered)
    else expect(lines.filter(({ event }) => event === 'request')).toHaveLength(answered)
    expect(lines.filter(({ event }) => event === 'login.failed')).toEqual([])
  }, 60_000)
})

describe('startup errors', () => {
  test.each([
    [
      'a database that refuses the password',
      { DATABASE_URL: 'postgresql://ada:s3cret-pass@127.0.0.1:1/x?sslmode=s3cret-pass' },
    ],
    ['a database URL that is none', { DATABASE_URL: 'postgresql://ada:s3cret-pass@@:x/' }],
    ['a short key', { SECRET_KEY: 's3cret-pass' }],
    ['a password in place of a number', { PORT: '0', SECRET_KEY: 's3cret-pass', ADMIN_PASSWORD: '\n' }],
  ])('%s is reported without revealing a secret', async (_what, given) => {
    const { code, stdout, stderr } = await run([], { environment: { HOST: '127.0.0.1', ...given } })
    expect(code).not.toBe(0)
    expect(stdout + stderr).not.toContain('s3cret-pass')
  })
})

/**
 * Performs every operation that involves secrets, correctly and not. Returns every secret sent or
 * received.
 */
async function useEverySecret({ url, origin }: Server): Promise<string[]> {
  const secrets: string[] = []
  const secret = (text: string) => {
    secrets.push(text)
    return text
  }
  const fresh = (name: string) => secret(`${name}-${crypto.randomUUID()}`)
  const post = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(url + path, { method: 'POST', body: new URLSearchParams(fields), headers })
  const json = (method: string, path: string, body: object, token: string) =>
    fetch(url + path, {
      method,
      body: JSON.stringify(body),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    })
  const membersOf = async (response: Response) => (await response.json()) as Record<string, string>

  const signedIn = await membersOf(
    await post('/auth/login', {
      username: 'admin',
      password: adminPassword,
      scope: 'offline_access',
      client_secret: fresh('client'),
    }),
  )
  const access = secret(signedIn.access_token ?? '')
  const refresh = secret(signedIn.refresh_token ?? '')
  const next = await membersOf(await post('/auth/refresh', { refresh_token: refresh }))
  secret(next.access_token ?? '')
  secret(next.refresh_token ?? '')

  // Typed into the wrong field, or wrong.
  await login(url, fresh('name'), fresh('password'))
  await login(url, adminPassword, 'admin')
  await login(url, 'admin', fresh('password'))
  await post('/auth/login', { username: 'admin', password: '', [fresh('field')]: fresh('value') })
  await fetch(`${url}/auth/login`, {
    method: 'POST',
    body: JSON.stringify({ username: 'admin', password: fresh('password') }),
  })
  await fetch(`${url}/auth/login?username=admin&password=${fresh('query')}`)
  await fetch(`${url}/auth/login%3Fusername=admin&password=${fresh('path')}`)
  await fetch(`${url}/auth/login;password=${fresh('path')}`)
  await fetch(`${origin}/admin:${fresh('userinfo')}@host/`)

  const draft = { name: 'machine', scopes: ['introspect', 'users:read'], roles: ['staff'] }
  const key = secret((await membersOf(await json('POST', '/api-keys', draft, access))).key ?? '')
  await post('/auth/introspect', { token: access }, { authorization: `Bearer ${key}` })
  await post('/auth/introspect', { token: key }, { authorization: `Basic ${btoa(`machine:${key}`)}` })
  await post('/auth/introspect', { token: key }, { authorization: `Bearer ${key}0` })
  await json('POST', '/users', { username: 'x', full_name: key }, key)

  // A token in the wrong place.
  for (const token of [access, refresh, key]) {
    await fetch(`${url}/auth/me/${token}`)
    await fetch(`${url}/users/${token}`, { headers: { authorization: `Bearer ${access}` } })
    await fetch(`${url}/${token}?access_token=${token}`, { headers: { cookie: `t=${token}`, 'user-agent': token } })
    await post('/auth/login', { grant_type: 'refresh_token', refresh_token: `${token}x` })
    await fetch(`${url}/auth/me`, { headers: { authorization: `Bearer ${token}.`, 'x-forwarded-for': token } })
  }
  // Values that the database rejects.
  const { header, claims } = readToken(access)
  const odd = tokenOf(JSON.stringify(header), JSON.stringify({ ...claims, sub: `${fresh('sub')}\0` }), hmac(secretKey))
  await fetch(`${url}/auth/me`, { headers: { authorization: `Bearer ${secret(odd)}` } })

  // Passwords set, changed and reset.
  const first = fresh('first')
  const user = await membersOf(
    await json('POST', '/users', { username: 'ada', full_name: 'Ada', password: first }, access),
  )
  const oneTime = await membersOf(await json('POST', '/users', { username: 'bob', full_name: 'Bob' }, access))
  secret(oneTime.one_time_password ?? '')
  const reset = await membersOf(await json('POST', `/users/${user.id}/password`, {}, access))
  const ada = await membersOf(await login(url, 'ada', secret(reset.one_time_password ?? '')))
  const change = { current_password: reset.one_time_password ?? '', new_password: fresh('next') }
  await json('POST', '/auth/password', { ...change, current_password: fresh('wrong') }, secret(ada.access_token ?? ''))
  await json('POST', '/auth/password', { ...change, new_password: 'changeme' }, ada.access_token ?? '')
  await json('POST', '/auth/password', { ...change, [fresh('member')]: fresh('value') }, ada.access_token ?? '')
  expect((await json('POST', '/auth/password', change, ada.access_token ?? '')).status).toBe(204)

  // A replayed refresh token, which ends the session, and the rest.
  const third = await membersOf(await post('/auth/refresh', { refresh_token: next.refresh_token ?? '' }))
  await post('/auth/refresh', { refresh_token: secret(third.refresh_token ?? '') })
  await post('/auth/refresh', { refresh_token: refresh })
  await post('/auth/revoke', { token: access })
  return secrets
}
