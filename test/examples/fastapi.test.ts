import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { accessToken, run, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { freePort } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { examples, hasPyJwt, startUpstream } from './upstream.ts'

const packages = '/usr/lib/python3/dist-packages'
const hasFastApi =
  hasProgram(`${packages}/fastapi`, 'python3-fastapi') && hasProgram(`${packages}/uvicorn`, 'python3-uvicorn')
const password = 'a long enough pass phrase'
const issuer = 'https://auth.example.com'

describe.skipIf(!(hasFastApi && hasPyJwt))('examples/fastapi', () => {
  let server: Server
  let keys: KeyEndpoint
  let api: string
  let admin: string
  let staff: string

  beforeAll(async () => {
    const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32), ADMIN_PASSWORD: password }
    const installation = { environment: { ...environment, ALGORITHM: 'EdDSA', ISSUER: issuer } }
    server = await serve(installation)
    expect(await run(['user', 'add', 'ada'], { ...installation, input: `${password}\n` })).toMatchObject({ code: 0 })
    admin = await accessToken(server.url, 'admin', password)
    staff = await accessToken(server.url, 'ada', password)
    keys = startKeyEndpoint(server.url)
    api = await startApi(keys.url)
  })
  afterAll(async () => {
    keys?.stop()
    await server?.stop()
  })

  test('accepts valid tokens, fetches the keys once for all, and keeps notes by user', async () => {
    const responses = await Promise.all(Array.from({ length: 20 }, () => ask(api, '/notes', admin)))
    expect(responses.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(keys.fetches()).toBe(1)
    const body = JSON.stringify({ text: 'milk' })
    const headers = { 'content-type': 'application/json' }
    expect((await ask(api, '/notes', admin, { method: 'POST', body, headers })).status).toBe(204)
    expect(await (await ask(api, '/notes', admin)).json()).toEqual({ username: 'admin', notes: ['milk'] })
  })

  test('requires the role of a route', async () => {
    expect((await ask(api, '/reports', admin)).status).toBe(200)
    expect((await ask(api, '/reports', staff)).status).toBe(403)
    expect((await ask(api, '/reports')).status).toBe(401)
  })

  test('rejects missing, forged and foreign tokens with 401, without fetching keys for each', async () => {
    const [head = '', payload = '', signature = ''] = admin.split('.')
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString())
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const forged = [
      undefined,
      'x',
      'x.y.z',
      `${Buffer.from('['.repeat(5000)).toString('base64url')}.${payload}.${signature}`,
      `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${payload}.`,
      `${encode({ alg: 'EdDSA', typ: 'JWT', kid })}.${payload}.${signature}`,
      `${encode({ alg: 'EdDSA', typ: 'at+jwt' })}.${payload}.${signature}`,
      `${encode({ alg: 'EdDSA', typ: 'at+jwt', kid: [kid] })}.${payload}.${signature}`,
      `${head}.${encode({ ...claims, roles: ['staff'] })}.${signature}`,
      ...Array.from({ length: 20 }, (_, number) => {
        const unknown = encode({ alg: 'EdDSA', typ: 'at+jwt', kid: `unknown-${number}` })
        return `${unknown}.${payload}.${signature}`
      }),
    ]
    const fetches = keys.fetches()
    for (const token of forged) {
      const response = await ask(api, '/notes', token)
      expect([token, response.status, response.headers.get('www-authenticate')]).toEqual([token, 401, 'Bearer'])
    }
    expect(keys.fetches()).toBeLessThanOrEqual(fetches + 1)
  })

  test('rejects the token of a quarantined user with 401', async () => {
    const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) }
    const fresh = await serve({ environment: { ...environment, ALGORITHM: 'EdDSA', ISSUER: issuer } })
    const other = await startApi(fresh.url)
    expect((await ask(other, '/notes', await accessToken(fresh.url))).status).toBe(401)
    await fresh.stop()
  })

  test('serves other requests while the keys are being fetched', async () => {
    const late = startKeyEndpoint(server.url)
    const held = Promise.withResolvers<undefined>()
    late.behave(() => held.promise)
    const other = await startApi(late.url)
    const waiting = ask(other, '/notes', admin)
    while (late.fetches() === 0) await ask(other, '/notes')
    expect((await ask(other, '/notes')).status).toBe(401)
    held.resolve(undefined)
    expect((await waiting).status).toBe(200)
    late.stop()
  })

  test.each([
    ['return an error', () => Promise.reject(new Error('broken'))],
    ['are not JSON', () => Promise.resolve('<html>')],
    ['have another shape', () => Promise.resolve('[1]')],
    ['hold an invalid key', () => Promise.resolve('{"keys":[{"kid":"a","alg":"EdDSA","kty":"OKP"}]}')],
  ])('returns 503 with Retry-After if the keys %s', async (_what, behavior) => {
    const broken = startKeyEndpoint(server.url)
    broken.behave(behavior)
    const other = await startApi(broken.url)
    for (let count = 0; count < 2; count++) {
      const response = await ask(other, '/notes', admin)
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10'])
    }
    expect(broken.fetches()).toBe(1)
    broken.stop()
  })

  test.each([
    ['are cut off', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"keys":'],
    ['are not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ])('returns 503 with Retry-After if the keys %s', async (_what, bytes) => {
    const socket = {
      data: (client: Bun.Socket) => {
        client.end(bytes)
      },
    }
    const endpoint = Bun.listen({ hostname: '127.0.0.1', port: 0, socket })
    const other = await startApi(`http://127.0.0.1:${endpoint.port}/api`)
    const response = await ask(other, '/notes', admin)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10'])
    endpoint.stop(true)
  })

  test('fetches a new key after the cool-down, and stops trusting keys that it cannot refresh', () => {
    const code = `
import asyncio, sys
sys.path.insert(0, ${JSON.stringify(join(examples, 'fastapi'))})
from audittrail_auth import KeysUnavailable, SigningKeys

now = 1000.0
fetches = []
keys = SigningKeys("http://unused", clock=lambda: now)
published = {"first": "a key"}

def fetch():
    fetches.append(now)
    if published is None:
        raise OSError
    return dict(published)

async def at(time, kid):
    global now
    now = time
    try:
        return await keys.find(kid)
    except KeysUnavailable:
        return "unavailable"

async def main():
    global published
    keys._fetch = fetch
    found = [await at(1000, "first"), await at(1005, "second")]
    published["second"] = "another key"
    found += [await at(1009, "second"), await at(1011, "second")]
    del published["first"]
    found += [await at(1300, "first"), await at(1312, "first")]
    published = None
    found += [await at(2000, "second"), await at(2001, "third"), await at(5000, "second")]
    print(found, fetches)

asyncio.run(main())
`
    const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-B', '-c', code], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(stdout.trim()).toBe(
      "['a key', None, None, 'another key', 'a key', None, 'another key', 'unavailable', 'unavailable'] " +
        '[1000, 1011, 1312, 2000, 5000]',
    )
  })
})

interface KeyEndpoint {
  readonly url: string
  /** Returns how many requests arrived. */
  fetches(): number
  /** Replaces the response: text, an error, or nothing for the real keys. */
  behave(next: () => Promise<string | undefined>): void
  stop(): void
}

/** Passes the service's published keys on, counts the requests, and fails on demand. */
function startKeyEndpoint(service: string): KeyEndpoint {
  let count = 0
  let behavior: () => Promise<string | undefined> = async () => undefined
  const endpoint = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    error: () => new Response(null, { status: 500 }),
    async fetch(request) {
      count++
      const text = await behavior()
      return text === undefined ? fetch(`${service}/..${new URL(request.url).pathname}`) : new Response(text)
    },
  })
  return {
    url: `http://127.0.0.1:${endpoint.port}/api`,
    fetches: () => count,
    behave: (next) => {
      behavior = next
    },
    stop: () => void endpoint.stop(true),
  }
}

/** Starts the example with Debian's uvicorn. Returns its origin. */
async function startApi(audittrailUrl: string): Promise<string> {
  const port = await freePort()
  const command = ['/usr/bin/python3', '-B', '-m', 'uvicorn', 'main:app', '--port', String(port)] as const
  const environment = { AUDITTRAIL_URL: audittrailUrl, ISSUER: issuer }
  return `http://${await startUpstream('fastapi', command, environment)}`
}

function ask(origin: string, path: string, token?: string, init: RequestInit = {}): Promise<Response> {
  return fetch(origin + path, {
    ...init,
    headers: { ...init.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) },
  })
}
