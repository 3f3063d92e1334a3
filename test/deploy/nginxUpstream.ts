import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { freePort } from '../postgresqlServer.ts'
import { type Nginx, startNginxSite } from './nginx.ts'
import { printSite } from './nginxSite.ts'

export interface Received {
  /** The request target, byte for byte. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, as sent. */
  readonly rawHeaders: readonly string[]
}

export interface ProtectedSite {
  readonly nginx: Nginx
  readonly received: Received[]
  /** What AuditTrail's stand-in received. */
  readonly verified: Received[]
  /** Sends the bytes of a request and returns the status of the response. */
  send(request: string): Promise<number>
  /** Sends the bytes of a request and returns those of the response. */
  exchange(request: string): Promise<string>
  stop(): Promise<void>
}

/**
 * Starts Nginx with `before` and the output of `audittrail nginx`, an upstream (its address is
 * `HOST` in the arguments) that records requests, and a stand-in for AuditTrail. It responds as
 * `decide` says, or admits everyone where no role is required, and the token `staff`.
 */
export async function startProtectedSite(
  args: readonly string[],
  before: (port: number) => string = () => '',
  decide: (request: Received) => number = ({ target, headers }) =>
    target.includes('role=') && headers.authorization !== 'Bearer staff' ? 403 : 204,
): Promise<ProtectedSite> {
  const port = await freePort()
  const received: Received[] = []
  const verified: Received[] = []
  const upstream = await listen(received, () => 200)
  const service = await listen(verified, decide)
  const place = ['--server-name', 'localhost', '--listen', `127.0.0.1:${port}`, '--service', service.host]
  const words = args.map((word) => word.replace('HOST', upstream.host).replace('PORT', upstream.host.slice(10)))
  const nginx = await startNginxSite(before(port) + (await printSite([...place, ...words])), port)
  return {
    nginx,
    received,
    verified,
    send: async (request) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(await exchange(port, request))?.[1]),
    exchange: (request) => exchange(port, request),
    stop: async () => {
      await nginx.stop()
      upstream.stop()
      service.stop()
    },
  }
}

async function listen(received: Received[], statusFor: (request: Received) => number) {
  const server = createServer(({ url = '', headers, rawHeaders }, response) => {
    const request = { target: url, headers, rawHeaders }
    received.push(request)
    const status = statusFor(request)
    response.writeHead(status, status < 300 ? { 'x-auth-user': 'ada', 'x-auth-roles': 'guest' } : {}).end()
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, stop }
}

/** One connection for each request. Latin-1: each character is one byte. */
function exchange(port: number, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let text = ''
  const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(request, 'latin1')))
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.on('error', reject)
  socket.on('close', () => resolve(text))
  return promise
}

/** Returns a GET request whose target is sent byte for byte. */
export function get(target: string, headers: readonly string[] = []): string {
  return [`GET ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n')
}
