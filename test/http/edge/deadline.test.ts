import { describe, expect, test } from 'bun:test'
import { createDeadline } from '../../../src/http/edge/deadline.ts'
import { readBody } from '../../../src/http/input/body.ts'

const pending = () => new Promise<Response>(() => {})
const respond = async (text: string) => new Response(text)
/** Resolves in the next turn of the event loop. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))
const textOf = async (response: Promise<Response>) => (await response).clone().text()

/** A deadline whose requests are names, and the names it has finished. */
function openDeadline(milliseconds: number) {
  const finished: string[] = []
  const deadline = createDeadline<string>(milliseconds, {
    finish: (name, response) => {
      finished.push(name)
      return response
    },
    fail: (name, error) => new Response(`${name}: ${(error as Error).message}`),
    timeOut: (name) => new Response(`${name} is late`),
  })
  return { ...deadline, finished }
}

describe('deadline', () => {
  test('returns a response that is in time', async () => {
    const { race } = openDeadline(60_000)
    expect(await textOf(race(respond('in time'), 'a'))).toBe('in time')
  })

  test('turns a failure into a response', async () => {
    const { race, finished } = openDeadline(60_000)
    expect(await textOf(race(Promise.reject(new Error('broken')), 'a'))).toBe('a: broken')
    expect(finished).toEqual(['a'])
  })

  test('times out each late response and no other', async () => {
    const { race } = openDeadline(100)
    const first = [race(pending(), 'a'), race(respond('quick'), 'b'), race(pending(), 'c')]
    expect(await Promise.all(first.map(textOf))).toEqual(['a is late', 'quick', 'c is late'])
    const paused = nextTurn().then(() => new Response('after a pause'))
    expect(await textOf(race(paused, 'd'))).toBe('after a pause')
    expect(await textOf(race(pending(), 'e'))).toBe('e is late')
  })

  test('expires the matching requests at once', async () => {
    const { race, expire } = openDeadline(60_000)
    const { promise: work, resolve } = Promise.withResolvers<Response>()
    const responses = ['incomplete', 'complete'].map((name) => race(work, name))
    expire((name) => name === 'incomplete')
    resolve(new Response('in time'))
    expect(await Promise.all(responses.map(textOf))).toEqual(['incomplete is late', 'in time'])
  })

  test('drops a response that arrives too late, and finishes its request once', async () => {
    const { race, finished } = openDeadline(10)
    const { promise: work, resolve } = Promise.withResolvers<Response>()
    const response = race(work, 'a')
    expect(await textOf(response)).toBe('a is late')
    resolve(new Response('too late'))
    await nextTurn()
    expect(await textOf(response)).toBe('a is late')
    expect(finished).toEqual(['a'])
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
        await Bun.sleep(1)
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
