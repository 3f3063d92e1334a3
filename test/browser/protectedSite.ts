import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import type { BrowserContext } from 'playwright-core'
import { startNginxSite } from '../deploy/nginx.ts'
import { printSite } from '../deploy/nginxSite.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { freePort } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { openChromium } from './chromium.ts'

export const hasOpenssl = hasProgram('openssl', 'openssl')

const [host, siblingHost, foreignHost] = ['app.example.test', 'evil.example.test', 'evil.test']

/** A request that reached the protected app. */
export interface Received {
  readonly method: string
  readonly target: string
  readonly headers: Record<string, string>
}

export interface BrowserSite {
  /** `https://app.example.test:PORT`: `/app` and `/staff` are an app, `/docs` is a static site. */
  readonly origin: string
  /** Another host of the same site, and another site. Their pages are blank. */
  readonly sibling: string
  readonly foreign: string
  readonly received: Received[]
  /** Returns the statuses that Nginx returned for a path so far, oldest first. */
  statusesOf(path: string): number[]
  /** A browser that reaches these hosts and no others. */
  openBrowser(options?: Parameters<typeof openChromium>[0]): Promise<BrowserContext>
  stop(): Promise<void>
}

/**
 * Starts real Nginx with TLS and the output of `audittrail nginx`, in front of AuditTrail at
 * `service`.
 */
export async function startBrowserSite(service: string): Promise<BrowserSite> {
  const directory = temporaryDirectory('site')
  chmodSync(directory, 0o755)
  const port = await freePort()
  const received: Received[] = []
  const app = serveApp(received)
  await Bun.write(join(directory, 'docs/index.html'), '<!doctype html><title>Docs</title><h1>Secret docs</h1>')
  const [certificate, key] = makeCertificate(directory)
  const printed = await printSite([
    ...['--server-name', host, '--listen', `127.0.0.1:${port}`, '--service', service, '--sign-in', 'on'],
    ...['--tls-certificate', certificate, '--tls-key', key, '--files', `/docs=${directory}/docs`],
    ...['--upstream', `/app=http://127.0.0.1:${app.port}`, '--upstream', `/staff=http://127.0.0.1:${app.port}:staff`],
  ])
  const others = `server {
    listen 127.0.0.1:${port} ssl;
    server_name ${siblingHost} ${foreignHost};
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    default_type text/html;
    location / { return 200 "<!doctype html><title>Another site</title>"; }
  }`
  // The tests sign in more often than a person does.
  const nginx = await startNginxSite(printed.replace('rate=2r/s', 'rate=1000r/s') + others, port)
  return {
    origin: `https://${host}:${port}`,
    sibling: `https://${siblingHost}:${port}`,
    foreign: `https://${foreignHost}:${port}`,
    received,
    statusesOf: (path) =>
      nginx.requests().flatMap((line) => {
        const [, target, status] = /"[A-Z]+ (\S+) HTTP\/[\d.]+" (\d{3})/.exec(line) ?? []
        return target === path ? [Number(status)] : []
      }),
    openBrowser: (options = {}) => openChromium({ ignoreHTTPSErrors: true, ...options }, [hosts]),
    stop: async () => {
      await nginx.stop()
      app.stop(true)
    },
  }
}

const hosts = '--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'

/** Like Grafana, the app believes the header of its proxy, sets a cookie, and opens WebSockets. */
function serveApp(received: Received[]) {
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, server) => {
      const { pathname, search } = new URL(request.url)
      received.push({ method: request.method, target: pathname + search, headers: request.headers.toJSON() })
      if (server.upgrade(request)) return undefined
      const user = request.headers.get('x-auth-user')
      return new Response(`<!doctype html><title>App</title><h1>Hello, ${user}</h1>`, {
        headers: { 'content-type': 'text/html', 'set-cookie': 'app_session=1; Path=/; HttpOnly' },
      })
    },
    websocket: { message: (socket, text) => void socket.send(`echo ${text}`) },
  })
}

function makeCertificate(directory: string): readonly [certificate: string, key: string] {
  const [certificate, key] = [join(directory, 'chain.pem'), join(directory, 'key.pem')]
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const names = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host},DNS:${siblingHost},DNS:${foreignHost}`]
  const { exitCode, stderr } = Bun.spawnSync(['openssl', ...request, ...names, '-keyout', key, '-out', certificate])
  if (exitCode !== 0) throw new Error(stderr.toString())
  return [certificate, key]
}
