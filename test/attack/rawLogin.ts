import { expect } from 'bun:test'
import { accessToken, me, type Server } from '../binary/binary.ts'
import { type RawRequest, rawRequest } from './rawSocket.ts'

/** Fails unless the server still runs and signs a user in. */
export async function expectToServe(server: Server): Promise<void> {
  const token = await accessToken(server.url)
  expect((await me(server.url, token)).status).toBe(200)
  expect(server.process.exitCode).toBeNull()
}

const form = 'Content-Type: application/x-www-form-urlencoded'
export const chunked = 'Transfer-Encoding: chunked'

/** Returns the bytes of a form request, by default to the login endpoint. */
export function post(headers: readonly string[], body: string, more: RawRequest = {}): string {
  return rawRequest({ method: 'POST', target: '/api/auth/login', headers: [form, ...headers], body, ...more })
}

/** A request whose 404 shows that a connection is still in sync. */
export const next = rawRequest({ target: '/api/nowhere' })

export function expectProblem(text: string, status: number): void {
  expect(text).toStartWith(`HTTP/1.1 ${status} `)
  expect(text).toMatch(/content-type: application\/(problem\+)?json/i)
  expect(text).toMatch(/x-request-id: \S+/i)
  expect(text).toContain('"type":"urn:audittrail:problem:')
}
