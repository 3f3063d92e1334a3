import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { redactPath } from '../../../src/http/edge/pathRedaction.ts'

describe('logged path', () => {
  test.each([
    '/',
    '/api/health',
    '/api/auth/login/',
    '/api/users/2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52/sessions',
    '/api/.well-known/oauth-authorization-server',
    '/api/docs/swagger-ui-bundle.js',
    '//wp-login.php',
  ])('keeps %s', (path) => {
    expect(redactPath(path)).toBe(path)
  })

  test.each([
    ['an access token', '/api/auth/me/eyJhbGciOiJIUzI1NiJ9.e30.AAAA', '/api/auth/me/[left-out]'],
    ['a part of an access token', '/api/x.eyJhbGciOiJIUzI1NiJ9/y', '/api/[left-out]/y'],
    ['a refresh token', '/api/auth/refresh/atr_AAAA', '/api/auth/refresh/[left-out]'],
    ['a signature or a key', `/api/${'a'.repeat(41)}`, '/api/[left-out]'],
    ['an escaped query', '/api/auth/login%3Fpassword=changeme', '/api/auth/[left-out]'],
    ['a query without its question mark', '/api/auth/login&password=changeme', '/api/auth/[left-out]'],
    ['a parameter of a segment', '/api/auth/login;password=changeme', '/api/auth/[left-out]'],
    ['a username and a password', '/api/admin:changeme@host', '/api/[left-out]'],
    ['other characters', '/api/%0a/"/é/%E2%80%AE', '/api/[left-out]/[left-out]/[left-out]/[left-out]'],
  ])('redacts %s', (_title, path, redacted) => {
    expect(redactPath(path)).toBe(redacted)
  })

  test('is short and plain for any request', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webPath(), fc.string({ unit: 'binary', maxLength: 5000 })), (path) => {
        expect(redactPath(`/${path}`)).toMatch(/^[A-Za-z0-9._~/[\]-]{1,205}$/)
      }),
    )
    expect(redactPath('/a'.repeat(100_000))).toHaveLength(205)
  })
})
