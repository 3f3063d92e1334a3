import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { chunked, expectProblem, expectToServe, next, post } from './rawLogin.ts'
import { rawRequest, sendRaw } from './rawSocket.ts'

// SECURITY.md lists what Bun does by itself. These tests notice when a new version does otherwise.

const environment = { SECRET_KEY: 'k'.repeat(32), PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
const mebibyte = 1_048_576
let server: Server
let port: number
beforeAll(async () => {
  server = await serve({ environment: { ...environment, DATABASE_URL: await createDatabase() } })
  port = Number(new URL(server.url).port)
})
afterAll(async () => {
  await expectToServe(server)
  await server.stop()
})

const bare = (reason: string) => `HTTP/1.1 ${reason}\r\nConnection: close\r\n\r\n`
const health = rawRequest()
const body = 'username=nobody&password=wrong'
const login = post([`Content-Length: ${body.length}`], body)

describe('Bun itself rejects', () => {
  test.each([
    ['a control byte in a header with 400', rawRequest({ headers: ['X-A: \x01'] }), '400 Bad Request'],
    [
      'headers over 16 KB with 431',
      rawRequest({ headers: [`X-A: ${'a'.repeat(20_000)}`] }),
      '431 Request Header Fields Too Large',
    ],
    ['another HTTP version with 505', 'GET /api/health HTTP/3.0\r\nHost: a\r\n\r\n', '505 HTTP Version Not Supported'],
    [
      'a Content-Length over a mebibyte with 413',
      post([`Content-Length: ${mebibyte + 1}`], ''),
      '413 Request Entity Too Large',
    ],
  ])('%s, without a body, and closes the connection', async (_what, bytes, reason) => {
    const { text, isClosed } = await sendRaw(port, bytes)
    expect(text).toBe(bare(reason))
    expect(isClosed).toBe(true)
  })

  test.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s with more than a mebibyte in the same way', async (method) => {
    const { text } = await sendRaw(port, post([`Content-Length: ${mebibyte + 1}`], '', { method }))
    expect(text).toBe(bare('413 Request Entity Too Large'))
  })

  test('an unknown method by closing the connection', async () => {
    const { text, isClosed } = await sendRaw(port, rawRequest({ method: 'BREW' }))
    expect(text).toBe('')
    expect(isClosed).toBe(true)
  })

  test('no mebibyte, no chunked body and no GET: they get responses of ours', async () => {
    const exact = await sendRaw(port, post([`Content-Length: ${mebibyte}`], 'x'.repeat(mebibyte)) + next)
    expect(exact.statuses).toEqual([413, 404])
    expectProblem(exact.text, 413)
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const inChunks = await sendRaw(port, `${post([chunked], `${chunk.repeat(32)}0\r\n\r\n`)}${next}`)
    expect(inChunks.statuses).toEqual([413, 404])
    expectProblem(inChunks.text, 413)
    const get = await sendRaw(port, rawRequest({ headers: [`Content-Length: ${2 * mebibyte}`] }))
    expect(get.statuses).toEqual([200])
  })
})

describe('pipelined requests', () => {
  test('are answered in order as long as each responds at once', async () => {
    const { statuses, isClosed } = await sendRaw(port, health.repeat(100) + login, { responses: 101 })
    expect(statuses).toEqual([...Array(100).fill(200), 401])
    expect(isClosed).toBe(false)
  })

  test('after one that waits, close the connection without a response; that one is still carried out', async () => {
    const failures = () => server.output.stdout.match(/"login\.(?:failed|throttled)"/g)?.length ?? 0
    for (const second of [health, login, post([`Content-Length: ${2 * mebibyte}`], '')]) {
      const before = failures()
      const { text, isClosed } = await sendRaw(port, login + second)
      expect(text).toBe('')
      expect(isClosed).toBe(true)
      while (failures() === before) await Bun.sleep(5)
    }
  })
})

describe('Expect', () => {
  const expecting = (value: string, length = body.length) => post([`Content-Length: ${length}`, `Expect: ${value}`], '')

  test('100-continue in lower case returns 100, even if a rejection follows', async () => {
    expect((await sendRaw(port, expecting('100-continue'))).statuses).toEqual([100])
    expect((await sendRaw(port, expecting('100-continue', 100_000))).statuses).toEqual([100, 413])
    expect((await sendRaw(port, expecting('100-continue', 2 * mebibyte))).statuses).toEqual([100, 413])
    const guarded = rawRequest({ target: '/api/auth/me', headers: ['Expect: 100-continue'] })
    expect((await sendRaw(port, guarded)).statuses).toEqual([100, 401])
  })

  test.each(['100-Continue', '100-CONTINUE', '100-continue, x', '100-continue;q=1', 'x', ''])(
    '%p returns no 100: the response follows the body',
    async (value) => {
      expect((await sendRaw(port, expecting(value), { untilClosed: 200 })).text).toBe('')
      const { statuses } = await sendRaw(port, expecting(value) + body)
      expect([[401], [429]]).toContainEqual([...statuses])
    },
  )
})
