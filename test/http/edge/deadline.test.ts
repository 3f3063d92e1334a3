import { describe, expect, test } from 'bun:test'
import { createDeadline } from '../../../src/http/edge/deadline.ts'
import { readBody } from '../../../src/http/input/body.ts'
import { openTestApplication } from '../../application.ts'

const pending = () => new Promise<Response>(() => {})
const respond = async (text: string) => new Response(text)
const late = () => new Response('late')
const request = new Request('http://localhost/')
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
    const paused = Bun.sleep(20).then(() => new Response('after a pause'))
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

describe('request timeout', () => {
  test('returns 503 with Retry-After in the format of the endpoint', async () => {
    const application = await openTestApplication('PostgreSQL', { timeout: 100 })
    const token = await application.accessToken()
    // postgres.js sends a query only when it is awaited.
    const held = Promise.resolve(
      application.sql('DO $$ BEGIN LOCK TABLE users IN ACCESS EXCLUSIVE MODE; PERFORM pg_sleep(0.5); END $$'),
    )
    await Bun.sleep(50)
    const [me, login] = await Promise.all([application.me(token), application.login()])
    for (const response of [me, login]) {
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
      expect(await response.json()).toMatchObject({ type: 'urn:audittrail:problem:overloaded' })
    }
    expect(login.headers.get('content-type')).toBe('application/json')
    await held
    expect((await application.me(token)).status).toBe(200)
    await application.close()
  })

  test('leaves no later effect: no session, user or password changes', async () => {
    const application = await openTestApplication('PostgreSQL', { timeout: 100 })
    const { hashQueue } = application.deps
    const token = await application.accessToken()
    const next = 'a long enough pass phrase'
    const change = () =>
      application.call('/auth/password', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ current_password: 'changeme', new_password: next }),
      })
    const key = await application.apiKey({ scopes: ['users:write'] })
    const asService = (path: string, body: object) =>
      application.call(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const created = await asService('/users', { username: 'ada', full_name: 'Ada' })
    const { id } = (await created.json()) as { id: string }
    const users = async () =>
      JSON.stringify(await application.sql('SELECT username, hashed_password FROM users ORDER BY 1'))
    const usersBefore = await users()
    const sessions = async () => (await application.sql('SELECT id FROM audittrail_sessions')).length
    const before = await sessions()
    const { promise: busy, resolve } = Promise.withResolvers<void>()
    const holders = Array.from({ length: 2 }, () => hashQueue.run(() => busy))
    const late = await Promise.all([
      change(),
      application.login(),
      asService('/users', { username: 'eve', full_name: 'Eve' }),
      asService(`/users/${id}/password`, {}),
    ])
    expect(late.map(({ status }) => status)).toEqual([503, 503, 503, 503])
    // Timed-out requests leave the queue.
    expect(hashQueue.waiting).toBe(0)
    resolve()
    await Promise.all(holders)
    await hashQueue.run(async () => {})
    await Bun.sleep(300)
    expect(await sessions()).toBe(before)
    expect(await users()).toBe(usersBefore)
    expect((await application.login('admin', next)).status).toBe(401)
    expect((await application.login()).status).toBe(200)
    expect((await change()).status).toBe(204)
    await application.close()
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
        await Bun.sleep(5)
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
