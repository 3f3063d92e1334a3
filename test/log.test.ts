import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { batchedWriter, createLog, type LogFormat, type LogLevel } from '../src/log.ts'

function linesOf(format: LogFormat, level: LogLevel, work: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = []
  work(createLog({ format, level, now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6), write: (line) => lines.push(line) }))
  return lines
}

describe('a line of the log', () => {
  test('is JSON with time, level, event and the facts', () => {
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

  test('reads well where a person looks', () => {
    const lines = linesOf('pretty', 'info', (log) => log.info('request', { path: '/api/health', detail: 'two words' }))
    expect(lines).toEqual(['03:04:05.006 info  request path=/api/health detail="two words"\n'])
  })

  test('below the level is not written', () => {
    expect(linesOf('json', 'warn', (log) => log.info('request'))).toEqual([])
  })

  test.each(['json', 'pretty'] as const)(
    'in %s stays one line of printable text, whatever a client sends',
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

describe('the batched writer', () => {
  test('loses nothing and keeps the order', () => {
    let out = ''
    const { write, flush } = batchedWriter((text) => {
      out += text
    })
    write('one\n')
    write('two\n')
    flush()
    write('three\n')
    flush()
    expect(out).toBe('one\ntwo\nthree\n')
  })
})
