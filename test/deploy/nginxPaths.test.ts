import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { hasNginx } from './nginx.ts'
import { get, type ProtectedSite, startProtectedSite } from './nginxUpstream.ts'

const inner = '/reports/x'
const upstream = (path: string, roles = '', host = 'HOST') => ['--upstream', `${path}=http://${host}${roles}`]
const layouts: Readonly<Record<string, readonly string[]>> = {
  nested: [...upstream('/'), ...upstream(inner, ':staff')],
  'nested twice': [...upstream('/'), ...upstream('/Reports', ':guest'), ...upstream(inner, ':staff')],
  'nested, with another name of the host': [...upstream('/'), ...upstream(inner, ':staff', 'localhost:PORT')],
  sibling: [...upstream('/open'), ...upstream(inner, ':staff')],
  'sibling, with matrix parameters': [
    ...upstream('/open'),
    ...upstream(inner, ':staff'),
    ...['--matrix-parameters', '/open'],
  ],
  single: upstream(inner, ':staff'),
}

const words = (text: string) => text.trim().split(/\s+/)

/** Ways to write the inner path: some for Nginx, most for one router or another. */
const spellings = [
  ...words(String.raw`
    /reports/x /reports/x/ /reports/x/1 /reports//x //reports/x /./reports/./x /reports/x? /reports/x?/../ /reports/x#
    /open/../reports/x /open/%2e%2e/reports/x /open/.%2e/reports/x /open/%2E%2E/reports/x /%2e/reports/x
    /open/..%2freports/x /open/%2e%2e%2freports/x /open%2f..%2freports%2fx /reports%2Fx /%2freports/x
    /open\..\reports\x /open/..%5creports/x /reports%5Cx /reports\x \reports\x
    /;/reports/x /;a/reports/x /%3B/reports/x /reports;/x /reports;a=b/x;c /reports/x; /reports/x%3b /open/.;/..;/reports/x
    /open/..;/reports/x /open/..;a=b/reports/x /open/..%3b/reports/x /open/%2e%2e;/reports/x /open/.%2e;/reports/x
    /open/;/..;/reports/x /open;/..;/reports/x /open/%3b/..%3b/reports/x
    /reports/x%0a /reports/x%0d%0a /reports/x%09 /reports/x%7f /reports/x%00 /rep%09orts/x /%0areports/x
    /REPORTS/X /Reports/x /reports/X/1 /reports/x.json /reports/x. /reports./x /reports/x%20 /reports%20/x
    /reports/x%3f /reports/x%23 /reports/x~ /reports/x: /reports/x, /reports/x%2c /reports/x%c2%a0 /reports/x*
    /%72eports/x /reports/%78 /%52eports/x /%2572eports/x /reports/%2578 /reports%252fx /reports%25252fx
    /open/%252e%252e/reports/x /open/..%252freports/x /open/..%253b/reports/x /open/%25%32%65%252e/reports/x
    /open/%c0%ae%c0%ae/reports/x /open/..%c0%afreports/x /reports%e0%80%afx /reports/x%c2%85 /open/%u002e%u002e/reports/x
    /open/%25u002e%25u002e/reports/x /rep%80orts/x /open/.%ff./reports/x /report%c5%bf/x /%ef%bd%92eports/x /reports%ef%bc%8fx /%ef%bc%8freports/x
    /%e2%93%a1eports/x /open/..%ef%bc%8freports/x /open/%e2%80%a5/reports/x /open/%ef%bc%8e./reports/x /open/..%cd%be/reports/x
    http://localhost/reports/x http://localhost/open/..;/reports/x http://localhost/Reports/x http://other/reports/x
    http://localhost//reports/x HTTP://LOCALHOST/reports/x http://localhost:80/reports/x /open/../reports/x#/../../open
    /open?/../../reports/x/../..`),
  ...[
    '/reports/x\t',
    '/rep\torts/x',
    '/reports/x\x01',
    '/reports/x\x00',
    '/reports/x\n',
    '/report\xc5\xbf/x',
    '/reports/x\xa0',
  ],
  `/open/${'a/../'.repeat(1000)}../reports/x`,
  `/open/${'%2e/'.repeat(1000)}../reports/x`,
  `/open/..;${'a'.repeat(6000)}/reports/x`,
]

describe.skipIf(!hasNginx).each(Object.entries(layouts))('paths: %s', (_name, args) => {
  let site: ProtectedSite

  beforeAll(async () => {
    site = await startProtectedSite(args)
  })
  afterAll(() => site?.stop())

  test('no way to write the inner path reaches the service without the role', async () => {
    for (const spelling of spellings) {
      await site.send(get(spelling))
      const reached = site.received.splice(0).filter(({ target }) => readsAsInner(target))
      expect({ spelling, reached }).toEqual({ spelling, reached: [] })
    }
  })

  test('no sequence of fragments is read as the inner path by any router', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...fragments), { minLength: 1, maxLength: 9 }), async (parts) => {
        await site.send(get(`/${parts.join('')}`))
        expect(site.received.splice(0).filter(({ target }) => readsAsInner(target))).toEqual([])
      }),
      { numRuns: 1500 },
    )
  })

  test('the role opens the inner path', async () => {
    for (const path of [
      '/reports/x',
      '/reports/x/',
      '/reports/x/a%20b?c=%2f;',
      '/%72eports/./x/1',
      '/open/../reports/x',
    ])
      expect({ path, status: await site.send(get(path, ['Authorization: Bearer staff'])) }).toEqual({
        path,
        status: 200,
      })
  })
})

describe.skipIf(!hasNginx)('ambiguous paths', () => {
  const ambiguous = words(String.raw`
    /open/a;b /open/a%3bb /open/a%3Bb /open/a%2fb /open/a%2Fb /open/a%5cb /open/a%5Cb /open/a\b /open/a%0a /open/a%0d
    /open/a%1f /open/a%7f /open/%2e /open/%2e/a /open/a/%2E%2e/b /open/a/.%2e /open/a/%2e.?b /open/; /open; /open/..;/open/a
    /x%2f../open/a /x/%2e%2e/open /open/%e9 /open/%80 /open/%c3 /open/%c3%a9%a9 /open/%e2%82 /open/%f0%9f%98 /open/%ed%a0%80
    /open/%f4%90%80%80 /open/%ff /open/%f8%88%80%80%80 /open/.%80./a /open/%c2%85`)
  const plain = words(String.raw`
    /open /open/ /open/a%20b /open/a%2eb /open/..a /open/... /open/a.. /open/100%25 /open/%c3%a9 /open/%f0%9f%98%80%ed%9f%bf
    /open/:@!$&'()*+,=~-_. /open/%3f /open/%23 /open/a?b;c%2f%5c\..;/%0a /open//a /open/./a /open/b/../a /open/a%22%3c%7b
    /open/%E2%82%AC`)

  test('are 404 under every upstream, whether or not it has roles, for every user', async () => {
    const site = await startProtectedSite([...upstream('/open'), ...upstream('/staff', ':staff')])
    for (const path of [...ambiguous, ...ambiguous.map((path) => path.replaceAll('open', 'staff'))])
      for (const token of ['staff', 'none'])
        expect({ path, status: await site.send(get(path, [`Authorization: Bearer ${token}`])) }).toEqual({
          path,
          status: 404,
        })
    expect(site.received).toEqual([])
    for (const path of plain) expect({ path, status: await site.send(get(path)) }).toEqual({ path, status: 200 })
    await site.stop()
  })

  test('--matrix-parameters allows only semicolons, and only in one upstream', async () => {
    const exempt = ['--matrix-parameters', '/open/']
    const site = await startProtectedSite([...upstream('/open'), ...upstream('/other'), ...exempt])
    for (const path of [
      '/open/a;b=c/d',
      '/open/;/a',
      '/open/a%3bb',
      '/open/a;b/',
      '/open/a;.',
      '/open/a...;b',
      ...plain,
    ])
      expect({ path, status: await site.send(get(path)) }).toEqual({ path, status: 200 })
    for (const path of ambiguous.filter((path) => !/[ab](;|%3b)|open\/;/i.test(path)))
      expect({ path, status: await site.send(get(path)) }).toEqual({ path, status: 404 })
    for (const path of ['/open/.;a/b', '/open/..%3b/b', '/open/%2e%2e;/b', '/open/a%253bb', '/other/a;b', '/open;/a'])
      expect({ path, status: await site.send(get(path)) }).toEqual({ path, status: 404 })
    await site.stop()
  })

  test('names that only resemble an inner path are not rejected', async () => {
    const site = await startProtectedSite([
      ...upstream('/'),
      ...upstream('/reports', ':staff'),
      ...upstream('/reports.old'),
    ])
    const names = ['/reporter', '/reports-2', '/reports_x', '/x/reports', '/Reports1', '/reports.old', '/reports.old/a']
    for (const path of [...names, `/${'%E6%97%A5'.repeat(7)}`, '/r%C3%A9ports', '/50%25', '/reportsx%20y'])
      expect({ path, status: await site.send(get(path)) }).toEqual({ path, status: 200 })
    await site.stop()
  })
})

const fragments = words(String.raw`
  / / / / reports reports/x x open Reports X . .. ..; ; ;a=b %3b %2f %2F %5c \ %2e %2E%2e .%2e %252e %252f %25 25 2e %00 %0a
  %09 %20 .json %c0%ae %c0%af %72 %2578 %ef%bc%8f %ef%bc%8e %e2%80%a5 %cd%be %c5%bf %80 ? # ~ http: %e2%84%aa %u002f %25u003b`)

/** Whether any order of what routers do to a path, and any part of it, leads to the inner path. */
function readsAsInner(target: string): boolean {
  const readings = new Set([target.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*/s, '')])
  for (const reading of readings) {
    if (readings.size > 500) break
    for (const read of routers) readings.add(read(reading))
  }
  return [...readings].some((reading) => /^\/reports\/x(?![a-z0-9_-])/i.test(reading))
}

const bySegment = (path: string, change: (segment: string) => string) => path.split('/').map(change).join('/')

const routers: readonly ((path: string) => string)[] = [
  (path) => path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  (path) => path.replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  (path) => path.replace(/\xc0([\x80-\xbf])/g, (_, byte: string) => String.fromCharCode(byte.charCodeAt(0) - 0x80)),
  (path) => (/^[\0-\xff]*$/.test(path) ? Buffer.from(path, 'latin1').toString() : path),
  (path) => path.normalize('NFKC').toUpperCase().toLowerCase(),
  (path) => bySegment(path, (segment) => segment.replace(/;.*/s, '')),
  (path) => bySegment(path, (segment) => segment.replace(/(?<=[^. ])[. ]+$/, '')),
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replace(/\/{2,}/g, '/'),
  (path) => path.replace(/\p{Cc}/gu, ''),
  (path) => path.split('\0')[0] ?? '',
  (path) => {
    const segments: string[] = []
    for (const segment of path.split('/').slice(1))
      if (segment === '..') segments.pop()
      else if (segment !== '.') segments.push(segment)
    return `/${segments.join('/')}`
  },
]
