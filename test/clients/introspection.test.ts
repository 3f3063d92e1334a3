import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { accessToken, run, type Server, serve } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'

const password = 'a long enough pass phrase'
const python = '/usr/bin/python3'
const issuer = 'https://auth.example.com'
const ada = { active: true, username: 'ada', roles: ['staff'] }

let server: Server
let key: string
/** A user's access token and refresh token. */
let token: string
let refreshToken: string
/** An API key with a role, of another service. */
let roleKey: string
beforeAll(async () => {
  const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32), ISSUER: issuer }
  server = await serve({ environment })
  key = (await run(['apikey', 'create', 'gateway', '--scope', 'introspect'], { environment })).stdout.trim()
  roleKey = (await run(['apikey', 'create', 'reports', '--role', 'staff'], { environment })).stdout.trim()
  await run(['user', 'add', 'ada', '--role', 'staff'], { environment, input: `${password}\n` })
  token = await accessToken(server.url, 'ada', password)
  const body = new URLSearchParams({ username: 'ada', password, scope: 'offline_access' })
  const grant = await fetch(`${server.url}/auth/login`, { method: 'POST', body })
  refreshToken = ((await grant.json()) as { refresh_token: string }).refresh_token
})
afterAll(() => server?.stop())

describe('introspection by', () => {
  const metadata = () => ({ issuer, introspection_endpoint: `${server.url}/auth/introspect` })
  const plain = { [oauth.allowInsecureRequests]: true }

  test('oauth4webapi, with the API key as client secret or as bearer token', async () => {
    const client: oauth.Client = { client_id: 'gateway' }
    const bearer: oauth.ClientAuth = (_as, _client, _body, headers) => headers.set('authorization', `Bearer ${key}`)
    const answerTo = async (authentication: oauth.ClientAuth, text: string) => {
      const response = await oauth.introspectionRequest(metadata(), client, authentication, text, plain)
      return oauth.processIntrospectionResponse(metadata(), client, response)
    }
    for (const authentication of [oauth.ClientSecretBasic(key), bearer]) {
      expect(await answerTo(authentication, token)).toMatchObject(ada)
      expect(await answerTo(authentication, 'nonsense')).toEqual({ active: false })
    }
    const error = await answerTo(oauth.ClientSecretBasic('nonsense'), token).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
    const { cause } = error as oauth.WWWAuthenticateChallengeError
    expect(cause.map(({ scheme }) => scheme)).toEqual(['basic'])
  })

  test('openid-client', async () => {
    const secret = openid.ClientSecretBasic(key)
    const configuration = new openid.Configuration(metadata(), 'gateway', undefined, secret)
    openid.allowInsecureRequests(configuration)
    expect(await openid.tokenIntrospection(configuration, token)).toMatchObject(ada)
  })
})

describe('the snippets of docs/api-keys.md', () => {
  test('for oauth4webapi accept access tokens and keys with a role, and nothing else', async () => {
    const directory = temporaryDirectory('snippet')
    symlinkSync(join(import.meta.dir, '../../node_modules'), join(directory, 'node_modules'))
    writeFileSync(join(directory, 'identify.ts'), snippet('ts'))
    // Routes the issuer's name to the server under test, as a proxy would.
    writeFileSync(
      join(directory, 'main.ts'),
      `const real = globalThis.fetch
globalThis.fetch = Object.assign(
  (url: string | URL | Request, options?: RequestInit) => real(String(url).replace('${issuer}', '${server.origin}'), options),
  real,
)
const { identify } = await import('./identify.ts')
for (const token of process.argv.slice(2)) console.log((await identify(token))?.sub ?? 'nobody')`,
    )
    expect(await outputOf([process.execPath, join(directory, 'main.ts')])).toBe(
      'ada\nservice:reports\nnobody\nnobody\nnobody\n',
    )
  })

  test.skipIf(!hasProgram(python, 'python3'))('for Python do the same', async () => {
    const script = `${snippet('python').replace(issuer, server.origin)}
import sys
for token in sys.argv[1:]:
    print((identify(token) or {"sub": "nobody"})["sub"])
`
    expect(await outputOf([python, '-c', script])).toBe('ada\nservice:reports\nnobody\nnobody\nnobody\n')
  })

  test('for curl return what the page shows', async () => {
    const args = ['-s', '-H', `Authorization: Bearer ${key}`, '-d', `token=${token}`, `${server.url}/auth/introspect`]
    const child = Bun.spawn(['curl', ...args], { stdout: 'pipe' })
    const shown = /^# (\{"active":true.*\})$/m.exec(page)?.[1] ?? ''
    const answer = (await new Response(child.stdout).json()) as object
    expect(Object.keys(answer)).toEqual(Object.keys(JSON.parse(shown)))
  })
})

const page = readFileSync(join(import.meta.dir, '../../docs/api-keys.md'), 'utf8')

function snippet(language: string): string {
  const code = page.split(`\`\`\`${language}\n`)[1]?.split('```')[0] ?? ''
  expect(code).toContain(issuer)
  return code
}

/**
 * Returns the output of a program for a user's token, keys with and without a role, a refresh token
 * and nonsense.
 */
async function outputOf(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command, token, roleKey, key, refreshToken, 'nonsense'], {
    env: { PATH: process.env.PATH ?? '', AUDITTRAIL_KEY: key, PYTHONDONTWRITEBYTECODE: '1' },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  expect(await new Response(child.stderr).text()).toBe('')
  return new Response(child.stdout).text()
}
