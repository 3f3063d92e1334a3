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

async function refusalOf(request: Request): Promise<string> {
  const outcome = await readForm(request).catch((error: unknown) => error)
  return outcome instanceof AppError ? outcome.code : `not refused: ${JSON.stringify(outcome)}`
}

describe('a form', () => {
  test('gives every text that a client can write', async () => {
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

  test('may be multipart', async () => {
    const form = new FormData()
    form.set('username', 'ada')
    form.set('password', 'p ä ß 😀')
    expect(await readForm(new Request('http://localhost/', { method: 'POST', body: form }))).toEqual({
      username: 'ada',
      password: 'p ä ß 😀',
    })
  })

  test('may name its charset', async () => {
    expect(await readForm(post('a=b', `${urlencoded}; charset=UTF-8`))).toEqual({ a: 'b' })
  })

  test('leaves out what has no value, as RFC 6749 wants it', async () => {
    expect(await readForm(post('a=1&scope=&grant_type', urlencoded))).toEqual({ a: '1' })
  })

  test('cannot set anything but its own fields', async () => {
    const form = await readForm(post('__proto__=x&constructor=y', urlencoded))
    expect(Object.getPrototypeOf(form)).toBe(Object.prototype)
  })

  test.each([
    ['a stray percent sign', 'a=%zz'],
    ['a cut escape', 'a=%4'],
    ['escapes that are not UTF-8', 'a=%ff'],
    ['a lone surrogate', 'a=%ED%A0%80'],
    ['an overlong escape', 'a=%C0%80'],
    ['a NUL', 'a=b%00c'],
    ['a NUL in a name', 'a%00=b'],
    ['a field twice', 'a=1&a=2'],
    ['a field twice, once in another spelling', 'a=1&%61=2'],
    ['an unknown field twice', 'a=1&x=1&x=1'],
  ])('with %s is refused', async (_what, body) => {
    expect(await refusalOf(post(body, urlencoded))).toBe('invalid_request')
  })

  test('of bytes that are not UTF-8 is refused', async () => {
    expect(await refusalOf(post(Buffer.from([0x61, 0x3d, 0xff]), urlencoded))).toBe('invalid_request')
  })

  test('with a file is refused', async () => {
    const form = new FormData()
    form.set('username', new File(['x'], 'x.txt'))
    expect(await refusalOf(new Request('http://localhost/', { method: 'POST', body: form }))).toBe('invalid_request')
  })

  test.each([['multipart/form-data'], ['multipart/form-data; boundary=x']])(
    'that is no %s is refused',
    async (type) => {
      expect(await refusalOf(post('nonsense', type))).toBe('invalid_request')
    },
  )

  test.each(['application/json', 'text/plain', 'application/x-www-form-urlencodedx', undefined])(
    'of media type %s is refused with how to send it',
    async (type) => {
      expect(await refusalOf(post(Buffer.from('{}'), type))).toBe('unsupported_media_type')
    },
  )

  test('longer than 64 KB is refused, whether it says so or not', async () => {
    const long = `a=${'b'.repeat(70_000)}`
    expect(await refusalOf(post(long, urlencoded))).toBe('payload_too_large')
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let chunk = 0; chunk < 100; chunk++) controller.enqueue(new TextEncoder().encode('b'.repeat(1000)))
        controller.close()
      },
    })
    expect(await refusalOf(post(stream, urlencoded))).toBe('payload_too_large')
  })

  test('of any bytes is read or refused, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const outcome = await readForm(post(bytes, urlencoded)).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(AppError)
      }),
    )
  })
})
