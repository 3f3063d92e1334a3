import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { login, serve } from '../binary/binary.ts'
import { hasCurl } from '../binary/seedContract.ts'
import { createDatabase } from '../postgresql.ts'
import { hasNginx, startNginx } from './nginx.ts'
import { curl, requestsOf } from './nginxRequests.ts'

const secretKey = { SECRET_KEY: 'k'.repeat(32) }
/** Differs from the address that Nginx calls from, so that the two can be told apart. */
const client = '127.0.0.9'

describe.skipIf(!(hasNginx && hasCurl))('Nginx with a failing service', () => {
  test('a stopped service means 502 as a problem with Retry-After', async () => {
    const nginx = await startNginx('nginx.conf', '127.0.0.1:1')
    const answer = await fetch(`${nginx.url}/health`)
    expect(answer.status).toBe(502)
    expect(answer.headers.get('retry-after')).toBe('2')
    expect(await answer.json()).toMatchObject({ title: 'Bad Gateway', status: 502 })
    await nginx.stop()
  })

  test('if one of two replicas breaks off, reads are retried and writes never are', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), ...secretKey } })
    const broken = breakOff()
    const nginx = await startNginx('nginx.conf', new URL(server.origin).host, [
      ['# server api-2:8000 ', `server 127.0.0.1:${broken.port} `],
    ])
    for (let count = 0; count < 6; count++) expect((await fetch(`${nginx.url}/health`)).status).toBe(200)
    expect(broken.requests).toHaveLength(3)
    const statuses: number[] = []
    for (let count = 0; count < 6; count++) statuses.push((await login(nginx.url)).status)
    expect(statuses.toSorted()).toEqual([200, 200, 200, 502, 502, 502])
    const received = (await requestsOf(server)).filter(({ method }) => method === 'POST').length
    expect(received + broken.requests.filter((line) => line.startsWith('POST')).length).toBe(6)
    await nginx.stop()
    broken.stop()
    await server.stop()
  })

  test('if one of two replicas is gone, the other serves everything', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), ...secretKey } })
    const nginx = await startNginx('nginx.conf', new URL(server.origin).host, [
      ['# server api-2:8000 ', 'server 127.0.0.1:1 '],
    ])
    for (let count = 0; count < 6; count++) expect((await login(nginx.url)).status).toBe(200)
    await nginx.stop()
    await server.stop()
  })
})

describe.skipIf(!(hasNginx && hasCurl))('Nginx behind a declared load balancer', () => {
  test('forwards the address that the load balancer saw', async () => {
    const environment = { DATABASE_URL: await createDatabase(), ...secretKey, TRUSTED_PROXIES: '127.0.0.1' }
    const server = await serve({ environment })
    const nginx = await startNginx('nginx.conf', new URL(server.origin).host, [
      ['# set_real_ip_from 192.0.2.0/24;', `set_real_ip_from ${client};`],
      ['# real_ip_header ', 'real_ip_header '],
      ['# real_ip_recursive ', 'real_ip_recursive '],
    ])
    const forwarded = ['-H', 'X-Forwarded-For: 10.1.2.3, 203.0.113.9']
    await curl(`${nginx.url}/health`, '--interface', client, ...forwarded)
    await curl(`${nginx.url}/health`, '--interface', '127.0.0.8', ...forwarded)
    const addresses = (await requestsOf(server)).map(({ address }) => address)
    expect(addresses.slice(-2)).toEqual(['203.0.113.9', '127.0.0.8'])
    await nginx.stop()
    await server.stop()
  })
})

test('the two shipped configurations differ only in how they strip the prefix', () => {
  const directives = (file: string) =>
    readFileSync(join(import.meta.dir, '../../deploy', file), 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
  const [kept, stripped] = [directives('nginx.conf'), directives('nginx-strip-prefix.conf')]
  const slash = kept.indexOf('proxy_pass http://audittrail;')
  expect(stripped).toEqual(kept.with(slash, 'proxy_pass http://audittrail/;'))
  expect(stripped).not.toEqual(kept)
})

/** A replica that accepts a request and breaks off without a response, as if it crashed. */
function breakOff() {
  const requests: string[] = []
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, bytes) {
        requests.push(bytes.toString().split('\r\n')[0] ?? '')
        socket.terminate()
      },
    },
  })
  return { port: listener.port, requests, stop: () => listener.stop(true) }
}
