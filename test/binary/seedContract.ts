import { expect } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { hasProgram } from '../requirements.ts'

/** The contract is checked with curl, so that the requests are what a person would type. */
export const hasCurl = hasProgram('curl', 'curl')

export interface Address {
  /** Origin and base path as clients see them: `http://127.0.0.1:PORT/api`. */
  readonly url: string
  readonly origin: string
}

export function holdsTheContract({ url, origin }: Address): void {
  const curl = (...args: string[]) => spawnSync('curl', ['-s', ...args], { encoding: 'utf8' }).stdout
  expect(curl(`${url}/health`)).toBe('{"status":"ok"}')
  expect(curl(`${url}/ready`)).toBe('{"status":"ok"}')

  const login = JSON.parse(curl('-d', 'username=admin&password=changeme', `${url}/auth/login`))
  expect(login).toEqual({ access_token: expect.any(String), token_type: 'bearer', expires_in: 1800 })
  const bearer = `Authorization: Bearer ${login.access_token}`
  const me = curl('-H', bearer, `${url}/auth/me`)
  const { id } = JSON.parse(me)
  expect(me).toBe(`{"id":"${id}","username":"admin","full_name":"Default Admin","is_active":true}`)

  const rejected = curl('-i', '-d', 'username=admin&password=wrong', `${url}/auth/login`)
  expect(rejected).toStartWith('HTTP/1.1 401 ')
  expect(rejected).toMatch(/^www-authenticate: Bearer\r$/im)
  expect(rejected).toContain('"detail":"Incorrect username or password"')
  for (const header of ['X-Nothing: x', 'Authorization: Bearer nonsense']) {
    const unauthorized = curl('-i', '-H', header, `${url}/auth/me`)
    expect(unauthorized).toStartWith('HTTP/1.1 401 ')
    expect(unauthorized).toMatch(/^www-authenticate: Bearer\r$/im)
  }
  expect(curl('-o', '/dev/null', '-w', '%{http_code}', `${origin}/bun:info`)).toBe('404')
}
