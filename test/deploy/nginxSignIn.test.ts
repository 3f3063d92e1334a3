import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { hasNginx } from './nginx.ts'
import { get, type ProtectedSite, startProtectedSite } from './nginxUpstream.ts'

const page = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', 'Sec-Fetch-Site: none', 'Accept: text/html,*/*']
const session = `Cookie: audittrail=ats_${'A'.repeat(70)}`

describe.skipIf(!hasNginx)('sign-in through Nginx', () => {
  let site: ProtectedSite

  beforeAll(async () => {
    const upstreams = ['--upstream', '/a=http://HOST', '--upstream', '/staff=http://HOST:staff']
    site = await startProtectedSite(
      ['--sign-in', 'on', ...upstreams],
      () => '',
      ({ target, headers }) => (headers.cookie || headers.authorization ? (target.includes('role=') ? 403 : 204) : 401),
    )
  })
  afterAll(() => site?.stop())

  const locationOf = (response: string) => /^location: (.*)\r$/im.exec(response)?.[1]

  test.each([
    ['/a', '/api/sign-in?return=/a'],
    ['/a/b%20c?x=1&y=%zz&return=/z&z=%C3%A9', '/api/sign-in?return=/a/b%20c?x=1&y=%zz&return=/z&z=%C3%A9'],
    ['/a//b/../c', '/api/sign-in?return=/a//b/../c'],
  ])('sends a navigation to sign in and back: %s', async (path, location) => {
    const response = await site.exchange(get(path, page))
    expect(response).toStartWith('HTTP/1.1 302 ')
    expect(locationOf(response)).toBe(location)
    expect(response.match(/^cache-control: .*\r$/gim)).toEqual(['Cache-Control: no-store\r'])
    expect(await site.exchange(get(path, [...page, 'Authorization: Bearer x']))).toStartWith('HTTP/1.1 200 ')
  })

  test('sends a navigation without the role to the page that explains it', async () => {
    const response = await site.exchange(get('/staff/x?y=1', [...page, session]))
    expect(response).toStartWith('HTTP/1.1 302 ')
    expect(locationOf(response)).toBe('/api/refused?return=/staff/x?y=1')
    const script = await site.exchange(get('/staff/x', [session, 'Sec-Fetch-Mode: cors', 'Sec-Fetch-Dest: empty']))
    expect(script).toStartWith('HTTP/1.1 403 ')
    expect(script).toContain('"title":"Forbidden","status":403')
    expect(script).toContain('or the request came from another site.')
  })

  const metadata = (mode: string, dest: string) => [
    `Sec-Fetch-Mode: ${mode}`,
    `Sec-Fetch-Dest: ${dest}`,
    'Accept: text/html',
  ]

  test.each([
    ['fetch', 'GET', metadata('cors', 'empty')],
    ['fetch of the same origin', 'GET', metadata('same-origin', 'empty')],
    ['fetch without CORS', 'GET', metadata('no-cors', 'empty')],
    ['an image', 'GET', metadata('no-cors', 'image')],
    ['a script', 'GET', metadata('no-cors', 'script')],
    ['a style sheet', 'GET', metadata('no-cors', 'style')],
    ['a frame', 'GET', metadata('navigate', 'iframe')],
    ['a frame of a frameset', 'GET', metadata('navigate', 'frame')],
    ['an embedded object', 'GET', metadata('navigate', 'object')],
    ['a worker', 'GET', metadata('same-origin', 'worker')],
    ['a WebSocket', 'GET', ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-Fetch-Mode: websocket']],
    ['a WebSocket without metadata', 'GET', ['Upgrade: websocket', 'Connection: Upgrade', 'Accept: text/html']],
    ['a form', 'POST', metadata('navigate', 'document')],
    ['DELETE', 'DELETE', metadata('navigate', 'document')],
    ['curl', 'GET', ['Accept: */*']],
    ['a program', 'GET', []],
    ['an old script', 'GET', ['X-Requested-With: XMLHttpRequest', 'Accept: text/html, */*']],
    ['a form of an old browser', 'POST', ['Accept: text/html']],
  ])('keeps the 401 problem for %s', async (_, method, headers) => {
    const response = await site.exchange(get('/a', [...headers, 'Content-Length: 0']).replace('GET', method))
    expect(response).toStartWith('HTTP/1.1 401 ')
    expect(response).toMatch(/^content-type: application\/problem\+json\r$/im)
    expect(response.match(/^content-type: /gim)).toHaveLength(1)
    const body =
      '{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Not signed in, or the session has ended."'
    expect(response).toContain(body)
  })

  test('recognizes the navigation of a browser without metadata by what it accepts', async () => {
    const response = await site.exchange(get('/a', ['Accept: text/html,application/xhtml+xml,*/*;q=0.8']))
    expect(response).toStartWith('HTTP/1.1 302 ')
  })

  test('passes to AuditTrail what decides about a request with a cookie, and nothing that was forged', async () => {
    site.verified.splice(0)
    const facts = ['Sec-Fetch-Site: same-site', 'Sec-Fetch-Mode: cors', 'Origin: http://evil.example']
    await site.send(
      get('/a', [session, ...facts, 'X-Original-Method: GET', 'X-Original-Upgrade: none', 'Content-Length: 0']).replace(
        'GET',
        'PATCH',
      ),
    )
    await site.send(get('/a', [session, 'Upgrade: websocket', 'Connection: Upgrade', 'X-Original-Method: POST']))
    const [first, second] = site.verified
    expect(first?.headers).toMatchObject({
      cookie: session.slice('Cookie: '.length),
      'x-original-method': 'PATCH',
      'sec-fetch-site': 'same-site',
      'sec-fetch-mode': 'cors',
      origin: 'http://evil.example',
    })
    expect(first?.headers).not.toHaveProperty('x-original-upgrade')
    expect(second?.headers).toMatchObject({ 'x-original-method': 'GET', 'x-original-upgrade': 'websocket' })
    expect(second?.headers).not.toHaveProperty('origin')
  })

  test('passes the port of the site on, so that it equals the Origin of its pages', async () => {
    for (const list of [site.received, site.verified]) list.splice(0)
    await site.send(get('/a', [session]).replace('Host: localhost', 'Host: localhost:8443'))
    await site.send(get('/api/auth/session').replace('Host: localhost', 'Host: localhost:8443'))
    expect([...site.received, ...site.verified].map(({ headers }) => headers.host)).toEqual(
      Array(3).fill('localhost:8443'),
    )
  })

  test('limits the sign-ins of an address, and no other requests', async () => {
    const post = (path: string) => get(path, ['Content-Length: 0']).replace('GET', 'POST')
    const statusesOf = async (request: string) => {
      const statuses: number[] = []
      for (let count = 0; count < 24; count++) statuses.push(await site.send(request))
      return statuses
    }
    expect(await statusesOf(get('/api/sign-in'))).not.toContain(429)
    expect(await statusesOf(get('/api/auth/session'))).not.toContain(429)
    expect(await statusesOf(post('/api/sign-out'))).not.toContain(429)
    expect(await statusesOf(post('/api/sign-in'))).toContain(429)
    for (const path of ['/api/auth/session', '/api/account/password', '/api/sign-in/'])
      expect(await site.send(post(path))).toBe(429)
  })

  test('leads password managers to the page for a new password', async () => {
    expect(locationOf(await site.exchange(get('/.well-known/change-password')))).toBe('/api/account/password')
  })
})

test.skipIf(!hasNginx)('a cached decision by cookie holds for one kind of request', async () => {
  const isAllowed = ['same-origin', 'none']
  const site = await startProtectedSite(
    ['--sign-in', 'on', '--cache', '60', '--upstream', '/a=http://HOST'],
    () => '',
    ({ headers }) => (isAllowed.includes(String(headers['sec-fetch-site'])) && headers.cookie ? 204 : 403),
  )
  const from = (site: string, ...headers: string[]) => [
    session,
    `Sec-Fetch-Site: ${site}`,
    'Sec-Fetch-Mode: cors',
    ...headers,
  ]
  for (let count = 0; count < 3; count++) expect(await site.send(get('/a', from('same-origin')))).toBe(200)
  expect(site.verified).toHaveLength(1)
  const post = (headers: string[]) => get('/a', [...headers, 'Content-Length: 0']).replace('GET', 'POST')
  for (const request of [post(from('cross-site')), post(from('same-site')), get('/a', from('cross-site')), get('/a')])
    expect(await site.send(request)).toBe(403)
  const different = [
    post(from('same-origin')),
    get('/a', from('none')),
    get('/a', from('same-origin', 'Origin: http://localhost')),
    get('/a', from('same-origin', 'Upgrade: websocket', 'Connection: Upgrade')),
    get('/a', from('same-origin', 'Authorization: Bearer x')),
    get('/a', from('same-origin')).replaceAll('AAAA', 'BBBB'),
    get('/a', from('same-origin')).replace('Host: localhost', 'Host: localhost:81'),
    get('/a', from('same-origin')).replace('Mode: cors', 'Mode: navigate'),
  ]
  for (const request of different) {
    const before = site.verified.length
    const status = await site.send(request)
    expect({ request, status, asked: site.verified.length - before }).toEqual({ request, status: 200, asked: 1 })
  }
  await site.stop()
})
