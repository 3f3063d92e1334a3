import { describe, expect, test } from 'bun:test'
import { randomUUID } from 'node:crypto'
import { createDeviceCookies } from '../../../src/http/auth/deviceCookie.ts'
import { createRequestContexts } from '../../../src/http/edge/requestContext.ts'
import { createRefreshTokens } from '../../../src/http/tokens/refreshTokens.ts'
import type { SecretKeys } from '../../../src/secretKeys.ts'

const [oldKey, newKey] = ['o'.repeat(32), 'n'.repeat(32)]
const before: SecretKeys = { current: oldKey, previous: [] }
const learning = { current: oldKey, previous: [newKey] }
const after = { current: newKey, previous: [oldKey] }
const done = { current: newKey, previous: [] }

describe('change of SECRET_KEY', () => {
  test('keeps refresh tokens valid, and signs new ones with the new key', () => {
    const token = { sessionId: randomUUID(), generation: 7 }
    const [old, next] = [createRefreshTokens(() => before).make(token), createRefreshTokens(() => after).make(token)]
    expect(next).not.toBe(old)
    expect(createRefreshTokens(() => learning).make(token)).toBe(old)
    for (const secretKeys of [learning, after]) {
      expect(createRefreshTokens(() => secretKeys).read(old)).toEqual(token)
      expect(createRefreshTokens(() => secretKeys).read(next)).toEqual(token)
    }
    expect(createRefreshTokens(() => done).read(old)).toBeUndefined()
    expect(createRefreshTokens(() => before).read(next)).toBeUndefined()
  })

  test('keeps device cookies valid, and renews them with the new key', () => {
    const requestContexts = createRequestContexts()
    const cookiesWith = (secretKeys: SecretKeys) =>
      createDeviceCookies({ secretKeys: () => secretKeys, basePath: '/api' }, requestContexts)
    const requestWith = (cookie: string) => new Request('http://localhost/', { headers: { cookie } })
    const cookieOf = (secretKeys: SecretKeys, cookie = '') => {
      const request = requestWith(cookie)
      const cookies = cookiesWith(secretKeys)
      return cookies.setCookie(request, cookies.subjectOf(request, 'Ada'), '/auth/login').split(';')[0] ?? ''
    }
    const isKnown = (secretKeys: SecretKeys, cookie: string, username = 'ada') =>
      cookiesWith(secretKeys).subjectOf(requestWith(cookie), username).device !== undefined

    const old = cookieOf(before)
    expect([learning, after, done].map((secretKeys) => isKnown(secretKeys, old))).toEqual([true, true, false])
    expect(isKnown(after, old, 'eve')).toBe(false)
    const renewed = cookieOf(after, old)
    expect([before, learning, done].map((secretKeys) => isKnown(secretKeys, renewed))).toEqual([true, true, true])
    expect(isKnown(done, renewed, 'eve')).toBe(false)
  })
})
