import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { accessToken, me, type Server, serve } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'

// Debian's packages work only with Debian's Python, not with another one on PATH.
const python = '/usr/bin/python3'
const packages = '/usr/lib/python3/dist-packages'
const hasPyJwt =
  hasProgram(`${packages}/jwt`, 'python3-jwt') && hasProgram(`${packages}/cryptography`, 'python3-cryptography')
const password = 'a long enough pass phrase'

describe.each(['EdDSA', 'ES256', 'RS256'])('%s tokens, verified with the published keys', (algorithm) => {
  let server: Server
  let quarantined: string
  let good: string
  beforeAll(async () => {
    const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32), ALGORITHM: algorithm }
    server = await serve({ environment: { ...environment, ISSUER: 'https://auth.example.com' } })
    quarantined = await accessToken(server.url)
    const headers = { authorization: `Bearer ${quarantined}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ current_password: 'changeme', new_password: password })
    await fetch(`${server.url}/auth/password`, { method: 'POST', headers, body })
    good = await accessToken(server.url, 'admin', password)
  })
  afterAll(() => server?.stop())

  /** An HMAC with the public key as secret, and a changed claim. */
  const forged = async () => {
    const [head = '', payload = '', signature] = good.split('.')
    const keys = (await (await fetch(`${server.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] }
    const hs256 = Buffer.from(JSON.stringify({ alg: 'HS256', kid: keys.keys[0]?.kid, typ: 'at+jwt' })).toString(
      'base64url',
    )
    const mac = createHmac('sha256', JSON.stringify(keys.keys[0])).update(`${hs256}.${payload}`).digest('base64url')
    const claims = Buffer.from(payload, 'base64url').toString().replace('"admin"', '"other"')
    return [`${hs256}.${payload}.${mac}`, `${head}.${Buffer.from(claims).toString('base64url')}.${signature}`]
  }

  test("jose's remote key set accepts ours and rejects forged and quarantined ones", async () => {
    const keys = createRemoteJWKSet(new URL(`${server.url}/.well-known/jwks.json`))
    const options = {
      algorithms: [algorithm],
      issuer: 'https://auth.example.com',
      audience: 'audittrail',
      typ: 'at+jwt',
      requiredClaims: ['exp', 'iat', 'sub'],
    }
    expect((await jwtVerify(good, keys, options)).payload).toMatchObject({ sub: 'admin', roles: ['admin'] })
    for (const token of [...(await forged()), quarantined])
      expect(await jwtVerify(token, keys, options).catch((error) => error)).toBeInstanceOf(errors.JOSEError)
    for (const token of await forged()) expect((await me(server.url, token)).status).toBe(401)
  })

  test('oauth4webapi discovers everything from the issuer and accepts ours as RFC 9068 access tokens', async () => {
    const issuer = new URL('https://auth.example.com')
    // Routes the issuer's name to the server under test, as a proxy would.
    const elsewhere = (url: string) => fetch(url.replace(issuer.origin, server.origin))
    const options = { algorithm: 'oauth2', [oauth.customFetch]: elsewhere } as const
    const found = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options))
    expect(found.token_endpoint).toBe('https://auth.example.com/api/auth/login')
    const keys = createRemoteJWKSet(new URL(found.jwks_uri?.replace(issuer.origin, server.origin) ?? ''))
    expect((await jwtVerify(good, keys, { issuer: found.issuer, audience: 'audittrail' })).payload.sub).toBe('admin')
  })

  test.skipIf(!hasPyJwt)("PyJWT's client accepts ours and rejects forged and quarantined ones", async () => {
    const keysUrl = `${server.url}/.well-known/jwks.json`
    const tokens = [good, quarantined, ...(await forged())]
    const script = join(import.meta.dir, 'pyjwt_verifier.py')
    const output = await runPython([script, keysUrl, algorithm, 'https://auth.example.com', 'audittrail', ...tokens])
    const [ours, ...others] = JSON.parse(output)
    expect(ours).toBe('admin')
    expect(others).toEqual(['InvalidAudienceError', expect.stringMatching(/Error$/), 'InvalidSignatureError'])
  })

  // The page uses one algorithm.
  if (algorithm !== 'EdDSA') return

  test('the jose snippet of docs/keys.md works', async () => {
    const directory = temporaryDirectory('snippet')
    symlinkSync(join(import.meta.dir, '../../node_modules'), join(directory, 'node_modules'))
    writeFileSync(join(directory, 'verify.ts'), snippetFor(server, 'ts'))
    const { verify } = await import(join(directory, 'verify.ts'))
    expect(await verify(good)).toMatchObject({ sub: 'admin', roles: ['admin'] })
    for (const token of [...(await forged()), quarantined, 'x.y.z'])
      expect(await verify(token).catch((error: Error) => error.name)).toMatch(/^(JW|JOSE)/)
  })

  test.skipIf(!hasPyJwt)('the PyJWT snippet of docs/keys.md works', async () => {
    const tokens = [good, quarantined, ...(await forged()), 'x.y.z']
    const script = `${snippetFor(server, 'python')}
import sys
for token in sys.argv[1:]:
    try:
        print(verify(token)["sub"])
    except jwt.PyJWTError:
        print("refused")
`
    expect(await runPython(['-c', script, ...tokens])).toBe('admin\nrefused\nrefused\nrefused\nrefused\n')
  })
})

/** Returns a snippet of the page, pointed at the server under test. */
function snippetFor({ url }: Server, language: string): string {
  const page = readFileSync(join(import.meta.dir, '../../docs/keys.md'), 'utf8')
  const code = page.split(`\`\`\`${language}\n`)[1]?.split('```')[0] ?? ''
  expect(code).toContain('https://auth.example.com/api/.well-known/jwks.json')
  return code.replace('https://auth.example.com/api/', `${url}/`)
}

/** Returns the output of a program. Fails if it writes to stderr. */
async function runPython(args: readonly string[]): Promise<string> {
  const child = spawn(python, args, { env: { PYTHONDONTWRITEBYTECODE: '1' }, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk
  })
  await new Promise((resolve) => child.once('close', resolve))
  expect(output.stderr).toBe('')
  return output.stdout
}
