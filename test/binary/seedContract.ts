import { expect } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { hasProgram } from '../requirements.ts'

/** What holds the contract here is curl, as a person would type it. */
export const hasCurl = hasProgram('curl', 'curl')

export interface Address {
  /** Origin and base path, as a client sees them: `http://127.0.0.1:PORT/api`. */
  readonly url: string
  readonly origin: string
}

/** Design §2, row by row. */
export function holdsTheContract({ url, origin }: Address): void {
  const curl = (...args: string[]) => spawnSync('curl', ['-s', ...args], { encoding: 'utf8' }).stdout
  expect(curl(`${url}/health`)).toBe('{"status":"ok"}')
  expect(curl(`${url}/ready`)).toBe('{"status":"ok"}')

  const answer = JSON.parse(curl('-d', 'username=admin&password=changeme', `${url}/auth/login`))
  expect(answer).toEqual({ access_token: expect.any(String), token_type: 'bearer', expires_in: 1800 })
  const bearer = `Authorization: Bearer ${answer.access_token}`
  const mine = curl('-H', bearer, `${url}/auth/me`)
  const { id } = JSON.parse(mine)
  expect(mine).toBe(`{"id":"${id}","username":"admin","full_name":"Default Admin","is_active":true}`)

  const refused = curl('-i', '-d', 'username=admin&password=wrong', `${url}/auth/login`)
  expect(refused).toStartWith('HTTP/1.1 401 ')
  expect(refused).toMatch(/^www-authenticate: Bearer\r$/im)
  expect(refused).toContain('"detail":"Incorrect username or password"')
  for (const header of ['X-Nothing: x', 'Authorization: Bearer nonsense']) {
    const locked = curl('-i', '-H', header, `${url}/auth/me`)
    expect(locked).toStartWith('HTTP/1.1 401 ')
    expect(locked).toMatch(/^www-authenticate: Bearer\r$/im)
  }
  expect(curl('-o', '/dev/null', '-w', '%{http_code}', `${origin}/bun:info`)).toBe('404')
}
