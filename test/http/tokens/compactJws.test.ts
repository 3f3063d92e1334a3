import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { isSignedWithHs256, parseCompactJws } from '../../../src/http/tokens/compactJws.ts'

const encode = (text: string) => Buffer.from(text).toString('base64url')
const header = encode('{"alg":"HS256"}')
const payload = encode('{"sub":"ada"}')

describe('compact JWS', () => {
  test('is parsed', () => {
    expect(parseCompactJws(`${header}.${payload}.AAAA`)).toEqual({
      header: { alg: 'HS256' },
      claims: { sub: 'ada' },
      signingInput: `${header}.${payload}`,
      signature: Buffer.from([0, 0, 0]),
    })
  })

  test.each([
    ['no text', ''],
    ['two parts', `${header}.${payload}`],
    ['four parts', `${header}.${payload}.AAAA.AAAA`],
    ['five parts (a JWE)', `${header}.${payload}.AAAA.AAAA.AAAA`],
    ['an empty signature', `${header}.${payload}.`],
    ['padding', `${header}.${payload}.AAA=`],
    ['a space', `${header}.${payload}. AAAA`],
    ['the other base64 alphabet', `${header}.${payload}.AA+/`],
    ['a last character with spare bits', `${header}.${payload}.AB`],
    ['a repeated member', `${encode('{"alg":"HS256","alg":"none"}')}.${payload}.AAAA`],
    ['white space in the JSON', `${encode('{ "alg":"HS256"}')}.${payload}.AAAA`],
    ['a non-canonical number', `${header}.${encode('{"exp":1e9}')}.AAAA`],
    ['an array', `${header}.${encode('[]')}.AAAA`],
    ['null', `${header}.${encode('null')}.AAAA`],
    [
      'bytes that are not UTF-8',
      `${header}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.AAAA`,
    ],
    ['more than 4,096 characters', `${header}.${encode(`{"sub":"${'a'.repeat(4096)}"}`)}.AAAA`],
    ['JSON serialisation', JSON.stringify({ protected: header, payload, signature: 'AAAA' })],
  ])('is not parsed with %s', (_title, token) => {
    expect(parseCompactJws(token)).toBeUndefined()
  })
})

describe('HMAC-SHA-256', () => {
  // RFC 7515, appendix A.1.
  const key = Buffer.from(
    'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    'base64url',
  )
  const signingInput =
    'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
  const signature = Buffer.from('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', 'base64url')
  const jws = { header: {}, claims: {}, signingInput, signature }

  test('verifies the example of RFC 7515', () => {
    expect(isSignedWithHs256(jws, key)).toBe(true)
  })

  test('rejects another key, another text, and a shorter or longer signature', () => {
    expect(isSignedWithHs256(jws, Buffer.from('another'))).toBe(false)
    expect(isSignedWithHs256({ ...jws, signingInput: `${signingInput}A` }, key)).toBe(false)
    expect(isSignedWithHs256({ ...jws, signature: signature.subarray(0, 31) }, key)).toBe(false)
    const longer = createHmac('sha512', key).update(signingInput).digest()
    expect(isSignedWithHs256({ ...jws, signature: longer }, key)).toBe(false)
  })
})
