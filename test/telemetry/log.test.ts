import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { AppError } from '../../src/error.ts'
import { createLog, describeError, type LogFormat, type LogLevel } from '../../src/telemetry/log.ts'

function linesOf(format: LogFormat, level: LogLevel, work: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = []
  work(createLog({ format, level, now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6), write: (line) => lines.push(line) }))
  return lines
}

describe('log line', () => {
  test('is JSON with time, level, event and fields', () => {
    const [line = ''] = linesOf('json', 'info', (log) =>
      log.warn('login.failed', { username: 'ada', address: undefined }),
    )
    expect(JSON.parse(line)).toEqual({
      time: '2026-01-02T03:04:05.006Z',
      level: 'warn',
      event: 'login.failed',
      username: 'ada',
    })
  })

  test('is readable in the pretty format', () => {
    const lines = linesOf('pretty', 'info', (log) => log.info('request', { path: '/api/health', detail: 'two words' }))
    expect(lines).toEqual(['03:04:05.006 info  request path=/api/health detail="two words"\n'])
  })

  test('below the level is not written', () => {
    expect(linesOf('json', 'warn', (log) => log.info('request'))).toEqual([])
  })

  test.each(['json', 'pretty'] as const)(
    'in %s is a single line of printable text, whatever a client sends',
    (format) => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary' }), (text) => {
          const [line = ''] = linesOf(format, 'info', (log) => log.info('login.failed', { username: text }))
          expect(line.indexOf('\n')).toBe(line.length - 1)
          expect(line.slice(0, -1)).not.toMatch(/\p{Cc}|\p{Cf}|\u2028|\u2029/u)
        }),
      )
    },
  )
})

describe('an error in the log', () => {
  // The messages of the engine and of drivers quote the offending value.
  const secret = 'hunter2-is-a-password'
  const throwers: readonly (readonly [string, () => unknown])[] = [
    ['is called', () => (secret as unknown as () => void)()],
    ['is constructed', () => new (secret as unknown as new () => object)()],
    ['is tested for a member', () => 'a' in (secret as unknown as object)],
    ['is a size', () => Buffer.alloc(secret as unknown as number)],
    ['is a language', () => new Intl.DateTimeFormat(`${secret}_x`)],
    ['is JSON', () => JSON.parse(`"${secret}`)],
    ['is an address', () => new URL(secret)],
    ['is in a message of a driver', () => failWith(new Error(`Failed query: SELECT … params: ${secret}`))],
    ['looks like a frame', () => failWith(new Error(`no\n    at ${secret} (${secret}:1:1)`))],
    ['is a code', () => failWith(Object.assign(new Error('no'), { code: `${secret}!` }))],
    ['is no error at all', () => failWith(secret)],
  ]

  test.each(throwers)('never contains a value of an error that %s', (_what, fail) => {
    for (const format of ['json', 'pretty'] as const) {
      const [line = ''] = linesOf(format, 'info', (log) => log.error('request.failed', describeError(caught(fail))))
      expect(line).toContain('request.failed')
      expect(line).not.toContain(secret)
    }
  })

  test('has the name, the code, the location, and the message if it is ours', () => {
    expect(describeError(caught(() => Buffer.alloc('x' as unknown as number)))).toMatchObject({
      error: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: undefined,
    })
    const ours = describeError(new AppError('internal', 'The database returned an error (SQLSTATE 22021).'))
    expect(ours).toMatchObject({ error: 'AppError', message: 'The database returned an error (SQLSTATE 22021).' })
    expect(String(ours.stack)).toContain('log.test.ts')
  })
})

function failWith(error: unknown): never {
  throw error
}

function caught(fail: () => unknown): unknown {
  try {
    fail()
  } catch (error) {
    return error
  }
  throw new Error('did not throw')
}
