import { describe, expect, test } from 'bun:test'
import { createDeadline } from '../../../src/http/edge/deadline.ts'
import { readBody } from '../../../src/http/input/body.ts'

const pending = () => new Promise<Response>(() => {})
const respond = async (text: string) => new Response(text)
const late = () => new Response('late')
const request = new Request('http://localhost/')
/** Resolves in the next turn of the event loop. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))
const textOf = async (response: Promise<Response>) => (await response).clone().text()

describe('deadline', () => {
  test('returns a response that is in time', async () => {
    const { race } = createDeadline(60_000)
    expect(await textOf(race(respond('in time'), request, late))).toBe('in time')
  })

  test('times out each late response and no other', async () => {
    const { race } = createDeadline(100)
    const first = [
      race(pending(), request, late),
      race(respond('quick'), request, late),
      race(pending(), request, late),
    ]
    expect(await Promise.all(first.map(textOf))).toEqual(['late', 'quick', 'late'])
    const paused = nextTurn().then(() => new Response('after a pause'))
    expect(await textOf(race(paused, request, late))).toBe('after a pause')
    expect(await textOf(race(pending(), request, () => new Response('late again')))).toBe('late again')
  })

  test('expires the matching requests at once', async () => {
    const { race, expire } = createDeadline(60_000)
    const { promise: work, resolve } = Promise.withResolvers<Response>()
    const [incomplete, complete] = [new Request(request), new Request(request)]
    const responses = [incomplete, complete].map((subject) => race(work, subject, () => new Response('expired')))
    expire((subject) => subject === incomplete)
    resolve(new Response('in time'))
    expect(await Promise.all(responses.map(textOf))).toEqual(['expired', 'in time'])
  })

  test('drops a response that arrives too late', async () => {
    const { promise: work, resolve } = Promise.withResolvers<Response>()
    const response = createDeadline(10).race(work, request, late)
    expect(await textOf(response)).toBe('late')
    resolve(new Response('too late'))
    expect(await textOf(response)).toBe('late')
  })
})

describe('request body', () => {
  const requestWith = (body: ReadableStream<Uint8Array>) => new Request('http://localhost/', { method: 'POST', body })

  test('that stalls is rejected with request_timeout and canceled', async () => {
    let isCanceled = false
    const stalled = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from('username=')),
      cancel: () => {
        isCanceled = true
      },
    })
    expect(await codeOf(readBody(requestWith(stalled), 20))).toBe('request_timeout')
    expect(isCanceled).toBe(true)
  })

  test('that trickles in is rejected with request_timeout', async () => {
    const trickle = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        await nextTurn()
        controller.enqueue(Buffer.from('x'))
      },
    })
    expect(await codeOf(readBody(requestWith(trickle), 60))).toBe('request_timeout')
  })

  test('that is interrupted is rejected with invalid_request', async () => {
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('gone')) })
    expect(await codeOf(readBody(requestWith(broken)))).toBe('invalid_request')
  })

  test('without Content-Length is rejected if it is too large', async () => {
    const pieces = Array.from({ length: 65 }, () => Buffer.alloc(1024))
    const long = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const piece = pieces.pop()
        if (piece) controller.enqueue(piece)
        else controller.close()
      },
    })
    expect(await codeOf(readBody(requestWith(long)))).toBe('payload_too_large')
  })

  test('of exactly 64 KB is accepted', async () => {
    const body = Buffer.alloc(65_536, 'x')
    expect(await readBody(new Request('http://localhost/', { method: 'POST', body }))).toEqual(body)
    expect(await readBody(new Request('http://localhost/', { method: 'POST' }))).toEqual(Buffer.alloc(0))
  })
})

async function codeOf(reading: Promise<unknown>): Promise<unknown> {
  try {
    return await reading
  } catch (error) {
    return (error as { code?: string }).code
  }
}
