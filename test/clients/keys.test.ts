import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { accessToken, me, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'

// Debian's packages are for Debian's own Python, whichever is first on PATH.
const python = '/usr/bin/python3'
const packages = '/usr/lib/python3/dist-packages'
const hasPyJwt =
  hasProgram(`${packages}/jwt`, 'python3-jwt') && hasProgram(`${packages}/cryptography`, 'python3-cryptography')
const password = 'a long enough pass phrase'

describe.each(['EdDSA', 'ES256', 'RS256'])(
  'tokens of %s, verified elsewhere by the published keys alone',
  (algorithm) => {
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

    /** The public key's text under HMAC, and a change of one claim. */
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

    test("jose's remote set takes ours, and neither forged nor quarantined ones", async () => {
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

    test('oauth4webapi finds everything from the issuer, and takes ours as access tokens of RFC 9068', async () => {
      const issuer = new URL('https://auth.example.com')
      // The issuer's name leads here, as a proxy would lead it.
      const elsewhere = (url: string) => fetch(url.replace(issuer.origin, server.origin))
      const options = { algorithm: 'oauth2', [oauth.customFetch]: elsewhere } as const
      const found = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options))
      expect(found.token_endpoint).toBe('https://auth.example.com/api/auth/login')
      const keys = createRemoteJWKSet(new URL(found.jwks_uri?.replace(issuer.origin, server.origin) ?? ''))
      expect((await jwtVerify(good, keys, { issuer: found.issuer, audience: 'audittrail' })).payload.sub).toBe('admin')
    })

    test.skipIf(!hasPyJwt)("PyJWT's client takes ours, and neither forged nor quarantined ones", async () => {
      const keysUrl = `${server.url}/.well-known/jwks.json`
      const tokens = [good, quarantined, ...(await forged())]
      const script = join(import.meta.dir, 'pyjwt_verifier.py')
      const child = spawn(python, [script, keysUrl, algorithm, 'https://auth.example.com', 'audittrail', ...tokens], {
        env: { PYTHONDONTWRITEBYTECODE: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const output = { stdout: '', stderr: '' }
      child.stdout.on('data', (chunk) => {
        output.stdout += chunk
      })
      child.stderr.on('data', (chunk) => {
        output.stderr += chunk
      })
      await new Promise((resolve) => child.once('close', resolve))
      expect(output.stderr).toBe('')
      const [ours, others] = [JSON.parse(output.stdout).slice(0, 1), JSON.parse(output.stdout).slice(1)]
      expect(ours).toEqual(['admin'])
      expect(others).toEqual(['InvalidAudienceError', expect.stringMatching(/Error$/), 'InvalidSignatureError'])
    })
  },
)
