import { expect, test } from 'bun:test'
import { accessToken, serve } from '../binary/binary.ts'
import { freePort, startServer } from '../postgresqlServer.ts'
import { hasNginx, startNginxSite } from './nginx.ts'
import { printSite, serveEcho } from './nginxSite.ts'

const password = 'a long enough pass phrase'

test.skipIf(!hasNginx)('a cached decision holds for one credential and one request, and expires on time', async () => {
  const echo = serveEcho()
  let asked: string[] = []
  let status = 204
  // Stands in for AuditTrail, to record the subrequests and to change the decision at any time.
  const service = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      const token = request.headers.get('authorization')
      asked.push(`${new URL(request.url).search} ${token}`)
      const headers = { 'x-auth-user': `${token?.slice(7)}`, 'cache-control': 'no-store' }
      return new Response(null, { status: token === 'Bearer bad' ? 401 : status, headers })
    },
  })
  const port = await freePort()
  const upstreams = ['--upstream', `/a=http://${echo.host}`, '--upstream', `/b=http://${echo.host}:admin`]
  const place = [
    '--server-name',
    'localhost',
    '--listen',
    `127.0.0.1:${port}`,
    '--service',
    `127.0.0.1:${service.port}`,
  ]
  const seconds = 2
  let nginx = await startNginxSite(await printSite([...place, ...upstreams, '--cache', '60']), port)
  const get = (path: string, token: string) =>
    fetch(nginx.origin + path, { headers: { authorization: `Bearer ${token}`, 'cache-control': 'no-cache' } })
  const userOf = async (path: string, token: string) =>
    ((await (await get(path, token)).json()) as { headers: Record<string, string> }).headers['x-auth-user']

  for (const token of ['one', 'two', 'one', 'two']) expect(await userOf('/a/x', token)).toBe(token)
  expect(await userOf('/b', 'one')).toBe('one')
  expect(asked.sort()).toEqual([' Bearer one', ' Bearer two', '?role=admin Bearer one'])
  asked = []
  for (let time = 0; time < 3; time++) expect((await get('/a', 'bad')).status).toBe(401)
  expect(asked).toHaveLength(3)

  await nginx.stop()
  nginx = await startNginxSite(await printSite([...place, ...upstreams, '--cache', String(seconds)]), port)
  // Starting at any fraction of a second: a cached decision is never used past its age.
  for (const part of [0, 400, 800]) {
    await Bun.sleep(1000 - (Date.now() % 1000) + part)
    status = 204
    const token = `from-${part}`
    expect((await get('/a', token)).status).toBe(200)
    const until = performance.now() + seconds * 1000
    status = 403
    while (performance.now() < until) await Bun.sleep(10)
    expect((await get('/a', token)).status).toBe(403)
  }
  await nginx.stop()
  service.stop(true)
  echo.stop()
})

test.skipIf(!hasNginx)('a stopped or frozen database means 503 and never access', async () => {
  const database = await startServer()
  const environment = { DATABASE_URL: database.url, SECRET_KEY: 'k'.repeat(32), ADMIN_PASSWORD: password }
  const server = await serve({ environment: { ...environment, TRUSTED_PROXIES: '127.0.0.1' } })
  const token = await accessToken(server.url, 'admin', password)
  const echo = serveEcho()
  const port = await freePort()
  const place = [
    '--server-name',
    'localhost',
    '--listen',
    `127.0.0.1:${port}`,
    '--service',
    new URL(server.origin).host,
  ]
  const nginx = await startNginxSite(await printSite([...place, '--upstream', `/a=http://${echo.host}`]), port)
  const ask = async () => (await fetch(`${nginx.origin}/a`, { headers: { authorization: `Bearer ${token}` } })).status
  expect(await ask()).toBe(200)
  const frozen = [...database.backends(), database.processId()]
  for (const id of frozen) process.kill(id, 'SIGSTOP')
  expect(await ask()).toBe(503)
  for (const id of frozen) process.kill(id, 'SIGCONT')
  await database.halt('immediate')
  expect([await ask(), await ask()]).toEqual([503, 503])
  expect(echo.asked()).toBe(1)
  await nginx.stop()
  await server.stop()
  echo.stop()
  await database.stop()
})
