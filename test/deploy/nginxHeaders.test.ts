import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { temporaryDirectory } from '../endOfFile.ts'
import { hasNginx } from './nginx.ts'
import { printSite } from './nginxSite.ts'
import { get, type ProtectedSite, startProtectedSite } from './nginxUpstream.ts'

/** Names in the documentation of services and proxies. */
const identityHeaders = `
  X-Auth-User X-Auth-User-Id X-Auth-Roles X-Auth-Session X-Auth-Username X-Auth-Email X-Auth-Groups Remote-User Remote-Email
  Remote-Name Remote-Groups X-Remote-User X-Remote-Group X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups
  X-Forwarded-Preferred-Username X-Forwarded-Access-Token X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Groups
  X-Auth-Request-Preferred-Username X-Auth-Request-Access-Token X-WEBAUTH-USER X-WEBAUTH-NAME X-WEBAUTH-EMAIL X-WEBAUTH-GROUPS
  X-WEBAUTH-ROLE X-WEBAUTH-FULLNAME X-authentik-username X-authentik-groups Cf-Access-Authenticated-User-Email
  X-Goog-Authenticated-User-Email X-Amzn-Oidc-Identity X-Amzn-Oidc-Data X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-NAME
  Tailscale-User-Login X-Consumer-Username X-Consumer-Custom-ID X-Authenticated-Userid X-Pomerium-Claim-Email X-Vouch-User
  X-User X-User-Id X-Username X-Email X-Roles X-Forwarded-Client-Cert X-SSL-Client-Verify SSL-Client-S-DN X-Client-DN
  Impersonate-User OIDC_CLAIM_sub SM_USER OAM_REMOTE_USER iv-user GAP-Auth SCRIPT_NAME X-Original-URI X-Original-URL
  X-Rewrite-URL X-Forwarded-Prefix X-Forwarded-Uri Forwarded True-Client-IP X-Client-IP`
  .trim()
  .split(/\s+/)

/** Returns the name with each separator as a hyphen and as an underscore, in two cases. */
function formsOf(name: string): readonly string[] {
  const [first = '', ...rest] = name.split(/[-_]/)
  const mixes = rest.reduce((all, part) => all.flatMap((mix) => [`${mix}-${part}`, `${mix}_${part}`]), [first])
  return mixes.flatMap((mix) => [mix, mix.toUpperCase(), mix.toLowerCase()])
}

/** Another site on this machine, which is the default server and lets underscores pass. */
const laxDefault = (port: number) =>
  `server { listen 127.0.0.1:${port} default_server; underscores_in_headers on; return 404; }\n`

const withoutHost = (headers: readonly string[]) =>
  ['GET /a HTTP/1.1', ...headers, 'Connection: close', '', ''].join('\r\n')

describe.skipIf(!hasNginx)('headers of clients', () => {
  let site: ProtectedSite

  beforeAll(async () => {
    site = await startProtectedSite(['--upstream', '/a=http://HOST'], laxDefault)
  })
  afterAll(() => site?.stop())

  test('about identity are removed, in every mix of hyphens and underscores, wherever they stand', async () => {
    for (const name of identityHeaders) {
      const forged = formsOf(name).map((form) => `${form}: forged`)
      const places = [
        [...forged, 'Host: localhost'],
        ['Host: localhost', ...forged],
        [...forged, ...forged, 'Host: localhost', ...forged],
      ]
      for (const headers of places) expect(await site.send(withoutHost(headers))).toBe(200)
      const values = site.received.splice(0).map(({ rawHeaders }) => rawHeaders.filter((text) => text === 'forged'))
      expect({ name, values }).toEqual({ name, values: [[], [], []] })
    }
  })

  test('the identity has one value in each header, whatever the client sends', async () => {
    await site.send(get('/a', ['X-Auth-User: forged', 'X-Auth-User: forged', 'Connection: X-Auth-User, X-Auth-Roles']))
    expect(site.received.splice(0)).toMatchObject([{ headers: { 'x-auth-user': 'ada', 'x-auth-roles': 'guest' } }])
  })

  test('about other things pass', async () => {
    await site.send(get('/a', ['X-Api-Key: k', 'X-Requested-With: x', 'X-CSRF-Token: t', 'Cookie: a=b', 'Accept: */*']))
    const headers = { 'x-api-key': 'k', 'x-requested-with': 'x', 'x-csrf-token': 't', cookie: 'a=b', accept: '*/*' }
    expect(site.received.splice(0)).toMatchObject([{ headers }])
  })
})

describe.skipIf(!hasNginx)('the Authorization header', () => {
  const authorization = 'Bearer staff'
  const ask = (site: ProtectedSite, path: string) => site.send(get(path, [`Authorization: ${authorization}`]))

  test('reaches AuditTrail and no service', async () => {
    const site = await startProtectedSite(['--upstream', '/a=http://HOST', '--upstream', '/b=http://HOST:staff'])
    for (const path of ['/a', '/a/x', '/b', '/b/x']) expect(await ask(site, path)).toBe(200)
    expect(site.received.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill(undefined))
    expect(site.verified.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill(authorization))
    site.verified.splice(0)
    await ask(site, '/api/auth/me')
    expect(site.verified).toMatchObject([{ target: '/api/auth/me', headers: { authorization } }])
    await site.stop()
  })

  test('reaches services with --pass-token, once', async () => {
    const site = await startProtectedSite(['--upstream', '/a=http://HOST', '--pass-token'])
    for (const path of ['/a', '/a/x']) expect(await ask(site, path)).toBe(200)
    await site.send(get('/a', [`Authorization: ${authorization}`, 'Authorization: Bearer other']))
    const sent = site.received.map(({ rawHeaders }) => rawHeaders.filter((text) => text.startsWith('Bearer')))
    // Newer versions of Nginx reject a second one.
    expect([sent.slice(0, 2), [[authorization], undefined]]).toEqual([
      [[authorization], [authorization]],
      expect.arrayContaining([sent[2]]),
    ])
    await site.stop()
  })
})

test.skipIf(!hasNginx)('--body sets the largest body, and without it one mebibyte passes', async () => {
  const post = (size: number) =>
    `POST /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`
  const [small, large] = [
    await startProtectedSite(['--upstream', '/a=http://HOST']),
    await startProtectedSite(['--upstream', '/a=http://HOST', '--body', '3m']),
  ]
  expect([await small.send(post(2 ** 20)), await small.send(post(2 ** 20 + 1))]).toEqual([200, 413])
  expect([await large.send(post(3 * 2 ** 20)), await large.send(post(3 * 2 ** 20 + 1))]).toEqual([200, 413])
  for (const site of [small, large]) await site.stop()
})

describe.skipIf(!hasNginx)('printed files', () => {
  const example = ['--server-name', 'app.example.com', '--upstream', '/a=http://127.0.0.1:9000:staff', '--cache', '5']

  test('never collide, even for one server name', async () => {
    const long = ['--server-name', `${'long.'.repeat(40)}example`]
    const variants = [
      example,
      [...example, '--listen', '8080', '--listen', '[::1]:8080'],
      [...example, '--listen', '8081', '--pass-token'],
      [...example, '--listen', '8082', '--body', '2m'],
      [...example, '--listen', '8083', '--service', '127.0.0.1:8001'],
      [...example, '--listen', '8084', '--matrix-parameters', '/a'],
      long,
      [...long, '--listen', '8085'],
    ]
    const { faultOf, writeSite } = await import('./nginx.ts')
    const printed = await Promise.all(variants.map((args) => printSite(args)))
    expect(faultOf(writeSite(printed.join('\n')))).toBeUndefined()
  })

  test('are the same for the same flags', async () => {
    const directory = temporaryDirectory('cache')
    const [first, second] = [await printSite(example), await printSite(example)]
    const place = /proxy_cache_path \S+/
    expect(first.replace(place, directory)).toBe(second.replace(place, directory))
  })
})
