import { describe, expect, test } from 'bun:test'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { run } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { freePort } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { faultOf, hasNginx, startNginxSite, writeSite } from './nginx.ts'
import { printSite } from './nginxSite.ts'

const hasOpenssl = hasProgram('openssl', 'openssl')

describe('audittrail nginx', () => {
  const good = ['--server-name', 'app.example.com', '--upstream', '/orders=http://127.0.0.1:9000']

  test.each([
    [['--server-name', 'a b']],
    [['--server-name', 'x; } server {']],
    [['--server-name', '']],
    [['--server-name', '*.example.com']],
    [[...good, '--server-name', 'x']],
    [[...good, '--upstream', '/orders=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/orders/=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/x=https://127.0.0.1:9001']],
    [[...good, '--upstream', '/x=http://127.0.0.1']],
    [[...good, '--upstream', '/x=http://127.0.0.1:99999']],
    [[...good, '--upstream', '/x y=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/x/../y=http://127.0.0.1:9001']],
    [[...good, '--upstream', '//x=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/api=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/api/auth=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/_audittrail/verify/1=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/x=http://127.0.0.1:9001:Admin']],
    [[...good, '--upstream', '/x=http://127.0.0.1:9001:a,,b']],
    [[...good, '--upstream', '/x=http://127.0.0.1:9001:']],
    [[...good, '--upstream', `/x=http://127.0.0.1:9001:${'r'.repeat(33)}`]],
    [[...good, '--upstream', `/${'x'.repeat(200)}=http://127.0.0.1:9001`]],
    [[...good, '--service', '127.0.0.1']],
    [[...good, '--listen', '80 default_server']],
    [[...good, '--listen', '0']],
    [[...good, '--root', 'relative']],
    [[...good, '--root', '/a/../b']],
    [[...good, '--root', '/a;b']],
    [[...good, '--root', '/srv/web', '--upstream', '/=http://127.0.0.1:9001']],
    [[...good, '--tls-key', '/etc/key.pem']],
    [[...good, '--cache', '1']],
    [[...good, '--cache', '61']],
    [[...good, '--cache', '5s']],
    [[...good, '--body', '1t']],
    [[...good, '--body', '0']],
    [[...good, '--body', '1m;']],
    [[...good, '--listen', '80', '--listen', '80']],
    [[...good, '--listen', '80', '--listen', '0.0.0.0:80']],
    [[...good, '--listen', '80', '--listen', 'x']],
    [[...good, '--upstream', '/Orders=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/API=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/_AuditTrail/websocket/1=http://127.0.0.1:9001']],
    [[...good, '--matrix-parameters', '/other']],
    [[...good, '--sign-in', 'yes']],
    [[...good, '--files', '/docs']],
    [[...good, '--files', '/docs=relative']],
    [[...good, '--files', '/docs=/srv/../etc']],
    [[...good, '--files', '/docs=/srv/a;b']],
    [[...good, '--files', '/docs/../x=/srv/docs']],
    [[...good, '--files', '/docs=/']],
    [[...good, '--files', '/docs=/srv/docs:Admin']],
    [[...good, '--files', '/api/docs=/srv/docs']],
    [[...good, '--files', '/Orders=/srv/docs']],
    [[...good, '--files', '/docs=/srv/docs', '--files', '/docs/=/srv/other']],
    [[...good, '--files', '/=/srv/docs', '--root', '/srv/web']],
    [[...good, '--matrix-parameters', 'orders']],
    [[...good, '--matrix-parameters', '/orders/x']],
    [[...good, '--upstream', '/orders/x=http://127.0.0.1:9001:staff', '--matrix-parameters', '/orders']],
    [[...good, '--upstream', '/ORDERS/x=http://127.0.0.1:9001:staff', '--matrix-parameters', '/orders/']],
  ])('rejects %j with one line and exit code 2', async (args) => {
    const { code, stdout, stderr } = await run(['nginx', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^audittrail: [^\n]*--[^\n]+\.[^\n]*\n$/)
  })

  test('says that --server-name is required', async () => {
    const { code, stderr } = await run(['nginx', '--upstream', '/orders=http://127.0.0.1:9000'])
    expect(code).toBe(2)
    expect(stderr).toBe('audittrail: --server-name is required: the host name of the site, such as app.example.com.\n')
  })
})

describe.skipIf(!hasNginx)('the printed configuration', () => {
  test.each([
    [['--server-name', 'app.example.com']],
    [['--server-name', 'localhost', '--upstream', '/=http://[::1]:9000:admin,staff', '--listen', '8080']],
    [['--server-name', `${'long.'.repeat(40)}example`, '--upstream', '/a.b/c_d-~=http://127.0.0.1:9000']],
    [
      [
        '--server-name',
        'a.example',
        '--service',
        '127.0.0.1:8000',
        '--service',
        '127.0.0.1:8001',
        '--root',
        '/srv/web',
      ],
    ],
    [['--server-name', 'a.example', '--listen', '8080', '--listen', '127.0.0.2:8081', '--body', '2G', '--pass-token']],
    [
      [
        '--server-name',
        'a.example',
        ...['/', `/${'x'.repeat(190)}/y`].flatMap((path, at) => [
          '--upstream',
          `${path}=http://127.0.0.1:9000${at === 0 ? '' : ':staff'}`,
        ]),
      ],
    ],
    [['--server-name', 'a.example', '--cache', '60', '--upstream', '/x=http://127.0.0.1:9000']],
    [['--server-name', 'a.example', '--cache', '60', '--upstream', '/x=http://127.0.0.1:9000', '--sign-in', 'off']],
    [['--server-name', 'a.example', '--files', '/docs=/srv/docs', '--files', '/a.b/c=/srv/x-y_z/:staff,admin']],
    [['--server-name', 'a.example', '--files', '/=/srv/docs', '--sign-in', 'off']],
    [['--server-name', 'a.example', '--upstream', `/x=http://127.0.0.1:9000:${roles(32)}`]],
  ])('passes nginx -t: %j', async (args) => {
    expect(faultOf(writeSite(await printSite(args)))).toBeUndefined()
  })

  test.skipIf(!hasOpenssl)('passes nginx -t with a certificate and next to a second site', async () => {
    const directory = temporaryDirectory('tls')
    const [certificate, key] = [join(directory, 'chain.pem'), join(directory, 'key.pem')]
    const openssl = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const names = ['-subj', '/CN=app.example.com', '-days', '2', '-keyout', key, '-out', certificate]
    expect(Bun.spawnSync([...openssl, ...names]).exitCode).toBe(0)
    const tls = ['--tls-certificate', certificate, '--tls-key', key]
    const first = await printSite([
      '--server-name',
      'app.example.com',
      '--upstream',
      '/x=http://127.0.0.1:9000',
      ...tls,
    ])
    const second = await printSite([
      '--server-name',
      'other.example.com',
      '--upstream',
      '/x=http://127.0.0.1:9000',
      '--cache',
      '5',
    ])
    expect(first).toContain('return 301 https://app.example.com$request_uri;')
    expect(faultOf(writeSite(first + second))).toBeUndefined()
    // Only the site with a certificate reads the cookie of an encrypted connection.
    expect(first).toContain('"__Host-audittrail=$at_v"')
    expect(second).toContain('"audittrail=$at_v"')
  })

  test('contains only validated input: every accepted value is a single word', async () => {
    const text = fc.string({ unit: fc.constantFrom(...'a0/.:=-_~[];{}$"\'\\ \n\t#,'), maxLength: 20 })
    const { readSite } = await import('../../src/cli/nginx/site.ts')
    const settings = { basePath: '/api', port: 8000, hasPages: true }
    const word = /^[A-Za-z0-9._~:/[\]-]*$/
    fc.assert(
      fc.property(text, text, text, (name, path, rest) => {
        const flags = new Map([
          ['server-name', [name]],
          ['upstream', [`/${path}=http://${rest}`]],
          ['root', [`/${rest}`]],
          ['files', [`/${path}=/${rest}`]],
          ['listen', [rest]],
          ['service', [rest]],
        ])
        for (const [flag, values] of flags) {
          try {
            const site = readSite(
              new Map([
                ['server-name', ['a']],
                [flag, values],
              ]),
              settings,
            )
            const upstreams = site.upstreams.flatMap(({ path, server, roles }) => [path, server, ...roles])
            const files = site.files.flatMap(({ path, directory, roles }) => [path, directory, ...roles])
            for (const value of [
              site.serverName,
              site.root ?? '',
              ...site.listen,
              ...site.services,
              ...upstreams,
              ...files,
            ])
              expect(value).toMatch(word)
          } catch (error) {
            expect((error as { code?: string }).code).toBe('usage')
          }
        }
      }),
      { numRuns: 3000 },
    )
  })
})

function roles(count: number): string {
  return Array.from({ length: count }, (_, at) => `${'r'.repeat(29)}-${at}`).join(',')
}

test('--sign-in off prints nothing for browsers', async () => {
  const place = ['--server-name', 'a.example', '--upstream', '/x=http://127.0.0.1:9000', '--cache', '5']
  const printed = await printSite([...place, '--sign-in', 'off'])
  expect(printed).not.toMatch(/http_cookie|api\/sign-in|sec_fetch|X-Original-Method/)
  expect(printed).toContain('error_page 401 403 413 429 502 503 504 @audittrail_problem;')
})

test.skipIf(!hasNginx)('a web app: hidden files such as settings and history are not served', async () => {
  const root = temporaryDirectory('web')
  chmodSync(root, 0o755)
  for (const path of ['index.html', '.env', '.git/config', 'a/.htpasswd', '.well-known/security.txt', 'a/b.js'])
    await Bun.write(join(root, path), path)
  const port = await freePort()
  const place = ['--server-name', 'localhost', '--listen', `127.0.0.1:${port}`, '--root', root]
  const nginx = await startNginxSite(await printSite(place), port)
  const ask = async (path: string) => {
    const response = await fetch(nginx.origin + path)
    return response.status === 200 ? response.text() : response.status
  }
  for (const path of ['/.env', '/.git/config', '/a/.htpasswd', '/a/%2egit', '/.well-known', '/.Env'])
    expect({ path, answer: await ask(path) }).toEqual({ path, answer: 404 })
  for (const path of ['/.well-known/security.txt', '/a/b.js']) expect(await ask(path)).toBe(path.slice(1))
  expect(await ask('/some/route')).toBe('index.html')
  await nginx.stop()
})
