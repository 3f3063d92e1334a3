import { describe, expect, test } from 'bun:test'
import { serve } from '../binary/binary.ts'
import { hasNginx, startNginxSite } from '../deploy/nginx.ts'
import { printSite, serveEcho } from '../deploy/nginxSite.ts'
import { createDatabase } from '../postgresql.ts'
import { freePort } from '../postgresqlServer.ts'
import { startRollingLoad } from './rollingLoad.ts'

const password = 'a long enough pass phrase'

/** What `audittrail nginx` can print: flags for a service at HOST, and settings of both. */
const sites: readonly (readonly [string, readonly string[], Record<string, string>])[] = [
  [
    'two services, one with a role',
    ['--upstream', '/notes=http://HOST', '--upstream', '/reports=http://HOST:admin'],
    {},
  ],
  ['a service at the root', ['--upstream', '/=http://HOST'], {}],
  [
    'everything that flags add',
    ['--upstream', '/notes=http://HOST', '--pass-token', '--body', '2m', '--matrix-parameters', '/notes'],
    {},
  ],
  ['a cache', ['--upstream', '/notes=http://HOST', '--cache', '2'], {}],
  ['an empty BASE_PATH', ['--upstream', '/notes=http://HOST'], { BASE_PATH: '' }],
]

describe.skipIf(!hasNginx)('two replicas behind a printed Nginx configuration, restarted in turn', () => {
  test.each(sites)('serve and verify every request under load, twice: %s', async (_what, flags, settings) => {
    const ports = [await freePort(), await freePort()]
    const common = {
      DATABASE_URL: await createDatabase(),
      SECRET_KEY: 'k'.repeat(32),
      ADMIN_PASSWORD: password,
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
      TRUSTED_PROXIES: '127.0.0.1',
      SHUTDOWN_GRACE_SECONDS: '1',
      ...settings,
    }
    const boot = (replica: number) => serve({ environment: { ...common, PORT: String(ports[replica]) } })
    const replicas = [await boot(0), await boot(1)]
    const echo = serveEcho()
    const port = await freePort()
    const services = ports.flatMap((replica) => ['--service', `127.0.0.1:${replica}`])
    const place = ['--server-name', 'localhost', '--listen', `127.0.0.1:${port}`, ...services]
    const site = await printSite([...place, ...flags.map((flag) => flag.replace('HOST', echo.host))], settings)
    // All clients share one address here.
    const nginx = await startNginxSite(site.replace(/limit_req zone=\S+ burst=20 nodelay;/, ''), port)
    const paths = flags.flatMap((flag) => /^(\/\w*)=http/.exec(flag)?.[1] ?? [])
    const load = await startRollingLoad(
      nginx.url,
      password,
      paths.map((path) => nginx.origin + path),
    )
    for (let restart = 0; restart < 2; restart++) {
      const before = load.succeeded()
      const replica = restart % 2
      expect(await replicas[replica]?.stop()).toMatchObject({ code: 0, stderr: '' })
      replicas[replica] = await boot(replica)
      expect(load.failures).toEqual([])
      expect(load.succeeded()).toBeGreaterThan(before)
    }
    await load.stop()
    expect(load.failures).toEqual([])
    expect(echo.asked()).toBeGreaterThan(0)
    await nginx.stop()
    await echo.stop()
    await Promise.all(replicas.map((replica) => replica.stop()))
  })
})
