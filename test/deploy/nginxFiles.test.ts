import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '../endOfFile.ts'
import { hasNginx } from './nginx.ts'
import { get, type ProtectedSite, startProtectedSite } from './nginxUpstream.ts'

const user = 'Authorization: Bearer user'
const page = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', 'Accept: text/html']

describe.skipIf(!hasNginx)('a protected static site', () => {
  let site: ProtectedSite

  beforeAll(async () => {
    const directory = temporaryDirectory('files')
    chmodSync(directory, 0o755)
    const files = [
      'docs/index.html',
      'docs/a b.txt',
      'docs/sub/index.html',
      'docs/bare/x.txt',
      'docs/.env',
      'docs/.git/config',
    ]
    for (const path of [...files, 'docs/.well-known/x.txt', 'docsecret/x.txt', 'secret.txt', 'staff/index.html'])
      await Bun.write(join(directory, path), `content of ${path}`)
    site = await startProtectedSite(
      ['--sign-in', 'on', '--files', `/docs=${directory}/docs`, '--files', `/staff=${directory}/staff/:staff`],
      () => '',
      ({ target, headers }) =>
        headers.authorization === undefined
          ? 401
          : target.includes('role=') && headers.authorization !== 'Bearer staff'
            ? 403
            : 204,
    )
  })
  afterAll(() => site?.stop())

  test('serves files and index files to users', async () => {
    for (const [path, file] of [
      ['/docs/', 'docs/index.html'],
      ['/docs/index.html', 'docs/index.html'],
      ['/docs/a%20b.txt?x', 'docs/a b.txt'],
      ['/docs/sub/', 'docs/sub/index.html'],
      ['/docs/.well-known/x.txt', 'docs/.well-known/x.txt'],
    ] as const) {
      const response = await site.exchange(get(path, [user]))
      expect(response).toStartWith('HTTP/1.1 200 ')
      expect(response).toEndWith(`content of ${file}`)
      expect(response.match(/^cache-control: .*\r$/gim)).toEqual(['Cache-Control: private, no-cache\r'])
    }
  })

  test('asks again before a browser shows a kept page', async () => {
    const etag = /^etag: (.*)\r$/im.exec(await site.exchange(get('/docs/', [user])))?.[1]
    const kept = `If-None-Match: ${etag}`
    const response = await site.exchange(get('/docs/', [user, kept]))
    expect(response).toStartWith('HTTP/1.1 304 ')
    expect(response).toMatch(/^cache-control: private, no-cache\r$/im)
    expect(await site.send(get('/docs/', [kept]))).toBe(401)
  })

  test('redirects to the folder within the site, with the query', async () => {
    for (const [path, location] of [
      ['/docs?a=1', '/docs/?a=1'],
      ['/docs/sub?a=1', '/docs/sub/?a=1'],
    ] as const)
      expect(/^location: (.*)\r$/im.exec(await site.exchange(get(path, [user])))?.[1]).toBe(location)
  })

  test('is closed without a user or the role', async () => {
    for (const path of [
      '/docs/',
      '/docs/index.html',
      '/docs/none',
      '/docs/sub/',
      '/docs/bare/',
      '/docs//sub/../index.html',
    ]) {
      expect({ path, status: await site.send(get(path)) }).toEqual({ path, status: 401 })
      const response = await site.exchange(get(path, page))
      expect(response).toContain(`\r\nLocation: /api/sign-in?return=${path}\r\n`)
    }
    expect(await site.send(get('/staff/', [user]))).toBe(403)
    expect(await site.exchange(get('/staff/', [user, ...page]))).toContain(
      '\r\nLocation: /api/refused?return=/staff/\r\n',
    )
    expect(await site.send(get('/staff/', ['Authorization: Bearer staff']))).toBe(200)
  })

  test('returns 404 for missing and hidden files, and for folders without an index file', async () => {
    for (const path of [
      '/docs/none',
      '/docs/bare/',
      '/docs/.env',
      '/docs/.git/config',
      '/docs/%2egit/config',
      '/docs/sub/none/',
      '/docs/.Env',
    ])
      for (const headers of [[user], [user, ...page]])
        expect({ path, status: await site.send(get(path, headers)) }).toEqual({ path, status: 404 })
  })

  test('serves nothing outside of its directory', async () => {
    for (const path of [
      ...[
        '/docs../secret.txt',
        '/docs/../secret.txt',
        '/docs/..%2fsecret.txt',
        '/docs/%2e%2e/secret.txt',
        '/docs/sub/../../secret.txt',
      ],
      ...[
        '/docsecret/x.txt',
        '/docs%00',
        '/docs/..;/secret.txt',
        '/docs/..\\secret.txt',
        '/docs/%5c..%5csecret.txt',
        '/docs//../secret.txt',
      ],
      ...[
        '/docs/....//secret.txt',
        '/docs/%252e%252e/secret.txt',
        '/_audittrail/missing',
        '/docs./secret.txt',
        '/Docs/index.html',
      ],
    ]) {
      const response = await site.exchange(get(path, [user]))
      expect({ path, isRejected: /^HTTP\/1\.1 40[04] /.test(response) }).toEqual({ path, isRejected: true })
      expect(response).not.toContain('content of')
    }
  })

  test('can only be read', async () => {
    for (const method of ['POST', 'PUT', 'DELETE'])
      expect(await site.send(get('/docs/index.html', [user, 'Content-Length: 0']).replace('GET', method))).toBe(405)
  })
})
