import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { freePort } from '../postgresqlServer.ts'
import { hasNginx, type Nginx, startNginxSite } from './nginx.ts'
import { printSite } from './nginxSite.ts'

interface Handshake {
  readonly target: string
  readonly headers: Record<string, string>
}

describe.skipIf(!hasNginx)('WebSockets behind Nginx', () => {
  const handshakes: Handshake[] = []
  const verified: Handshake[] = []
  let nginx: Nginx
  let upstream: ReturnType<typeof serveUpstream>
  let service: ReturnType<typeof serveVerify>
  let port: number

  const handshakeOf = (request: Request): Handshake => ({
    target: new URL(request.url).pathname + new URL(request.url).search,
    headers: request.headers.toJSON(),
  })
  const serveUpstream = () =>
    Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request, server) => {
        handshakes.push(handshakeOf(request))
        return server.upgrade(request) ? undefined : new Response('plain')
      },
      websocket: { message: (socket, text) => void socket.send(`echo ${text}`) },
    })
  const serveVerify = () =>
    Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) => {
        verified.push(handshakeOf(request))
        const isKnown = request.headers.get('authorization') === 'Bearer ada' && !request.url.includes('role=')
        return new Response(null, { status: isKnown ? 204 : 401, headers: isKnown ? { 'x-auth-user': 'ada' } : {} })
      },
    })

  beforeAll(async () => {
    upstream = serveUpstream()
    service = serveVerify()
    port = await freePort()
    const place = [
      '--server-name',
      'localhost',
      '--listen',
      `127.0.0.1:${port}`,
      '--service',
      `127.0.0.1:${service.port}`,
    ]
    const upstreams = ['/', '/chat', '/staff'].flatMap((path) => [
      '--upstream',
      `${path}=http://127.0.0.1:${upstream.port}${path === '/staff' ? ':staff' : ''}`,
    ])
    nginx = await startNginxSite(await printSite([...place, ...upstreams]), port)
  })
  afterAll(async () => {
    await nginx?.stop()
    upstream?.stop(true)
    service?.stop(true)
  })

  /** Returns the response to one message, or how the handshake failed. */
  const say = (path: string, headers: Record<string, string>) => {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    // Browsers cannot send headers with a handshake, Bun can.
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers } as Bun.WebSocketOptions as never)
    socket.onopen = () => socket.send('hello')
    socket.onmessage = ({ data }) => {
      resolve(data)
      socket.close()
    }
    socket.onerror = () => resolve('refused')
    return promise
  }

  test('pass for a user, with the identity and without the token', async () => {
    for (const path of ['/chat', '/chat/room%20%3f%25/?a=b%20c', '/other', '/chat//x/../y']) {
      handshakes.splice(0)
      const forged = { 'X-Auth-User': 'eve', 'X-WEBAUTH-USER': 'eve', authorization: 'Bearer ada' }
      expect(await say(path, forged)).toBe('echo hello')
      expect(handshakes).toMatchObject([
        {
          target: path === '/chat//x/../y' ? '/chat/y' : path.replace('%3f', '%3F'),
          headers: { 'x-auth-user': 'ada' },
        },
      ])
      expect(Object.keys(handshakes[0]?.headers ?? {})).not.toContain('authorization')
      expect(JSON.stringify(handshakes)).not.toContain('eve')
    }
  })

  test('do not pass without a credential, by another way to write a path, or by the internal path', async () => {
    handshakes.splice(0)
    expect(await say('/chat', {})).toBe('refused')
    for (const path of ['/chat/;/x', '/chat/%2e%2e/staff', '/Staff', '/staff.x', '/_audittrail/websocket/1/staff'])
      expect({ path, answer: await say(path, { authorization: 'Bearer ada' }) }).toEqual({ path, answer: 'refused' })
    expect(handshakes).toEqual([])
  })

  test('are the only upgrade that passes, and AuditTrail gets none', async () => {
    const upgrade = async (path: string, protocol: string) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      const headers = [
        'Host: localhost',
        `Upgrade: ${protocol}`,
        'Connection: Upgrade, HTTP2-Settings',
        'Authorization: Bearer ada',
      ]
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`GET ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`),
      )
      socket.once('data', () => {
        resolve()
        socket.destroy()
      })
      await promise
    }
    for (const protocol of ['h2c', 'h2c, websocket', 'websocket\t, h2c', 'tls/1.0']) {
      handshakes.splice(0)
      await upgrade('/chat', protocol)
      const [handshake] = handshakes
      expect({ protocol, upgrade: handshake?.headers.upgrade }).toEqual({ protocol, upgrade: undefined })
    }
    verified.splice(0)
    await upgrade('/api/health', 'websocket')
    expect(verified.map(({ target, headers }) => [target, headers.upgrade])).toEqual([['/api/health', undefined]])
  })
})
