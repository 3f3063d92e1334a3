import { expect, test } from 'bun:test'
import { openTestApplication } from '../../application.ts'
import { fromPage } from './browser.ts'

const https = { 'x-forwarded-proto': 'https' }

test('a browser that signs in over http from another computer is logged once, with what to do', async () => {
  const application = await openTestApplication('PostgreSQL', { trustedProxies: ['192.0.2.7'] })
  const signIn = async (address: string, headers: Readonly<Record<string, string>> = {}, password = 'changeme') => {
    const body = JSON.stringify({ username: 'admin', password })
    const sent = { ...fromPage, 'content-type': 'application/json', ...headers }
    const { status } = await application.call('/auth/session', { method: 'POST', headers: sent, body, address })
    return [status, application.lines.filter(({ event }) => event === 'login.unencrypted').length] as const
  }
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])
    expect([address, await signIn(address)]).toEqual([address, [200, 0]])
  expect(await signIn('192.0.2.7', https)).toEqual([200, 0])
  expect(await signIn('203.0.113.9', {}, 'wrong')).toEqual([401, 0])
  await application.login()
  expect(await signIn('192.0.2.7', { 'x-forwarded-for': '198.51.100.4' })).toEqual([200, 1])
  expect(await signIn('203.0.113.9')).toEqual([200, 1])
  const line = application.lines.find(({ event }) => event === 'login.unencrypted')
  expect(line).toMatchObject({ level: 'warn', address: '198.51.100.4' })
  expect(String(line?.detail)).toContain('use https, and let a proxy in TRUSTED_PROXIES send X-Forwarded-Proto')
  await application.close()
})
