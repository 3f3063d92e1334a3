import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { AppError } from '../../../src/error.ts'
import { readForm } from '../../../src/http/input/form.ts'

const urlencoded = 'application/x-www-form-urlencoded'

function post(body: NonNullable<RequestInit['body']>, type: string | undefined): Request {
  return new Request('http://localhost/', {
    method: 'POST',
    body,
    ...(type ? { headers: { 'content-type': type } } : {}),
  })
}

async function errorOf(request: Request): Promise<string> {
  const outcome = await readForm(request).catch((error: unknown) => error)
  return outcome instanceof AppError ? outcome.code : `not rejected: ${JSON.stringify(outcome)}`
}

describe('form', () => {
  test('preserves any text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme' }).filter((text) => text !== '' && !text.includes('\0')),
        async (text) => {
          const body = new URLSearchParams({ password: text }).toString()
          expect(await readForm(post(body, urlencoded))).toEqual({ password: text })
        },
      ),
    )
  })

  test('accepts multipart', async () => {
    const form = new FormData()
    form.set('username', 'ada')
    form.set('password', 'p ä ß 😀')
    expect(await readForm(new Request('http://localhost/', { method: 'POST', body: form }))).toEqual({
      username: 'ada',
      password: 'p ä ß 😀',
    })
  })

  test('accepts a charset parameter', async () => {
    expect(await readForm(post('a=b', `${urlencoded}; charset=UTF-8`))).toEqual({ a: 'b' })
  })

  test('omits fields without a value (RFC 6749 §3.2)', async () => {
    expect(await readForm(post('a=1&scope=&grant_type', urlencoded))).toEqual({ a: '1' })
  })

  test('cannot set the prototype', async () => {
    const form = await readForm(post('__proto__=x&constructor=y', urlencoded))
    expect(Object.getPrototypeOf(form)).toBe(Object.prototype)
  })

  test.each([
    ['a stray percent sign', 'a=%zz'],
    ['a truncated escape', 'a=%4'],
    ['escapes that are not UTF-8', 'a=%ff'],
    ['a lone surrogate', 'a=%ED%A0%80'],
    ['an overlong escape', 'a=%C0%80'],
    ['a NUL', 'a=b%00c'],
    ['a NUL in a name', 'a%00=b'],
    ['a repeated field', 'a=1&a=2'],
    ['a repeated field, once percent-encoded', 'a=1&%61=2'],
    ['a repeated unknown field', 'a=1&x=1&x=1'],
  ])('rejects %s', async (_title, body) => {
    expect(await errorOf(post(body, urlencoded))).toBe('invalid_request')
  })

  test('rejects bytes that are not UTF-8', async () => {
    expect(await errorOf(post(Buffer.from([0x61, 0x3d, 0xff]), urlencoded))).toBe('invalid_request')
  })

  test('rejects files', async () => {
    const form = new FormData()
    form.set('username', new File(['x'], 'x.txt'))
    expect(await errorOf(new Request('http://localhost/', { method: 'POST', body: form }))).toBe('invalid_request')
  })

  test.each([['multipart/form-data'], ['multipart/form-data; boundary=x']])(
    'rejects a body that is not %s',
    async (type) => {
      expect(await errorOf(post('nonsense', type))).toBe('invalid_request')
    },
  )

  test.each(['application/json', 'text/plain', 'application/x-www-form-urlencodedx', undefined])(
    'rejects the media type %s',
    async (type) => {
      expect(await errorOf(post(Buffer.from('{}'), type))).toBe('unsupported_media_type')
    },
  )

  test('rejects more than 64 KB, with or without Content-Length', async () => {
    const long = `a=${'b'.repeat(70_000)}`
    expect(await errorOf(post(long, urlencoded))).toBe('payload_too_large')
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let chunk = 0; chunk < 100; chunk++) controller.enqueue(new TextEncoder().encode('b'.repeat(1000)))
        controller.close()
      },
    })
    expect(await errorOf(post(stream, urlencoded))).toBe('payload_too_large')
  })

  test('accepts or rejects any bytes, without another error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const outcome = await readForm(post(bytes, urlencoded)).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(AppError)
      }),
    )
  })
})
