import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { publishedHead } from '../../../src/domain/publishedLog/published.ts'
import { databaseKinds, type TestApplication } from '../../application.ts'
import { createTestWitness } from './testWitness.ts'
import { failureOf, openWitnessedLog, type WitnessedLog } from './witnessedLog.ts'
import { conflict, type WitnessServer } from './witnessServer.ts'

const longestLine = 'x'.repeat(1_000_000)

describe.each(databaseKinds)('witnesses, on %s', (kind) => {
  let log: WitnessedLog
  let application: TestApplication
  let one: WitnessServer
  beforeEach(async () => {
    log = await openWitnessedLog(kind)
    ;({ application, one } = log)
  })
  afterEach(() => log.close())

  const wrong = createTestWitness('witness.example/w1', 1)
  const foreign = createTestWitness('other.example', 9)
  const textOf = (request: string) => `${request.slice(request.indexOf('\n\n') + 2).split('\n\n')[0]}\n`
  test.each<[string, (request: string) => Response | Promise<Response>, string]>([
    ['garbage', () => new Response('<html>hello</html>'), 'malformed'],
    ['nothing', () => new Response(''), 'malformed'],
    ['no newline at the end', (request) => new Response(wrong.cosign(textOf(request), 1).trimEnd()), 'malformed'],
    ['an empty line after its own', (request) => new Response(`${wrong.cosign(textOf(request), 1)}\n`), 'malformed'],
    ['a byte that is no UTF-8', () => new Response(Buffer.from([0xe2, 0x80, 0x0a])), 'response'],
    ['the line of a foreign key', (request) => new Response(foreign.cosign(textOf(request), 1)), 'not_cosigned'],
    ['a cosignature of another text', () => new Response(wrong.cosign('x\n', 1)), 'wrong_signature'],
    ['a megabyte', () => new Response(longestLine), 'response'],
    ['a megabyte with status 409', () => new Response(longestLine, { status: 409 }), 'response'],
    ['status 204', () => new Response(null, { status: 204 }), 'status'],
    ['status 400', () => new Response('', { status: 400 }), 'status'],
    ['status 403', () => new Response('', { status: 403 }), 'unknown_key'],
    ['status 404', () => new Response('', { status: 404 }), 'unknown_log'],
    ['status 409 without a size', () => new Response('3\n', { status: 409 }), 'malformed'],
    ['status 409 with a negative size', () => sized('-1\n'), 'malformed'],
    ['status 409 with a size beyond 2^53', () => sized('9999999999999999\n'), 'malformed'],
    ['status 409 with hexadecimal', () => sized('0x10\n'), 'malformed'],
    ['status 409 with no newline', () => sized('1'), 'malformed'],
    ['status 409 again and again', (request) => conflict(request.startsWith('old 1\n') ? 2 : 1), 'conflict'],
    ['status 503', () => new Response('', { status: 503 }), 'status'],
    ['a redirect', () => Response.redirect('http://127.0.0.1:1/add-checkpoint', 307), 'status'],
    ['silence', () => new Promise<Response>(() => {}), 'unreachable'],
    ['a response that never ends', () => new Response(endless()), 'unreachable'],
  ])('that return %s have no effect on the other', async (_, respond, failure) => {
    one.respond = respond
    const witnessing = log.open(log.policyOf('w2'))
    await witnessing.run()
    expect(failureOf(witnessing)).toBe(failure as never)
    expect(await log.published(log.policyOf('w2'))).toBe(log.size())
    expect(await log.published(log.policyOf('w1'))).toBe('not_found')
    expect(log.events('audit.witness_failed').map(({ reason, level }) => [reason, level])).toEqual([[failure, 'warn']])
    expect(one.requests.length).toBeLessThanOrEqual(2)
  })

  test('may return lines of foreign keys beside their own', async () => {
    one.respond = (request) => new Response(foreign.cosign(textOf(request), 1) + wrong.cosign(textOf(request), 1))
    await log.open().run()
    const { note } = await publishedHead({ ...application.deps, witnesses: log.policyOf() })
    expect(note).not.toContain('other.example')
  })
})

function sized(body: string): Response {
  return new Response(body, { status: 409, headers: { 'Content-Type': 'text/x.tlog.size' } })
}

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: async (controller) => {
      await Bun.sleep(200)
      controller.enqueue(Buffer.from('x'))
    },
  })
}
