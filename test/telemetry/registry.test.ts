import { describe, expect, test } from 'bun:test'
import { createMetricsRegistry } from '../../src/telemetry/registry.ts'

describe('metrics in text format', () => {
  test('have HELP and TYPE, and a counter without labels starts at 0', async () => {
    const metrics = createMetricsRegistry()
    const { add } = metrics.counter('swept_total', 'What was swept.')()
    expect(await metrics.render()).toBe(
      '# HELP swept_total What was swept.\n# TYPE swept_total counter\nswept_total 0\n',
    )
    add()
    add(2.5)
    expect(await metrics.render()).toEndWith('\nswept_total 3.5\n')
  })

  test('have a line per combination of label values, and none before the first', async () => {
    const metrics = createMetricsRegistry()
    const of = metrics.counter('responses_total', 'Responses.', ['route', 'status'])
    expect(await metrics.render()).toBe('')
    of('/me', '200').add()
    of('/me', '401').add()
    of('/me', '200').add()
    expect((await metrics.render()).split('\n').slice(2, -1)).toEqual([
      'responses_total{route="/me",status="200"} 2',
      'responses_total{route="/me",status="401"} 1',
    ])
  })

  test('escape label values', async () => {
    const metrics = createMetricsRegistry()
    metrics.counter('odd_total', 'Odd.', ['name'])('a"b\\c\nd').add()
    expect(await metrics.render()).toContain('odd_total{name="a\\"b\\\\c\\nd"} 1\n')
  })

  test('count a histogram value in every bucket that it fits, including its bound', async () => {
    const metrics = createMetricsRegistry()
    const { observe } = metrics.histogram('wait_seconds', 'Waiting.', [0.1, 1], ['kind'])('hash')
    for (const value of [0, 0.1, 0.5, 1, 7]) observe(value)
    expect((await metrics.render()).split('\n').slice(1, -1)).toEqual([
      '# TYPE wait_seconds histogram',
      'wait_seconds_bucket{kind="hash",le="0.1"} 2',
      'wait_seconds_bucket{kind="hash",le="1"} 4',
      'wait_seconds_bucket{kind="hash",le="+Inf"} 5',
      'wait_seconds_sum{kind="hash"} 8.6',
      'wait_seconds_count{kind="hash"} 5',
    ])
  })

  test('leave out what cannot be read, and keep the rest', async () => {
    const metrics = createMetricsRegistry()
    const reads = { a: () => 1, b: () => undefined, c: () => Promise.reject(new Error('no')), d: async () => 4 }
    for (const [name, read] of Object.entries(reads)) metrics.observable('gauge', name, 'A number.', read, { of: 'x' })
    metrics.observable('gauge', 'e', 'A number.', () => {
      throw new Error('no')
    })
    const lines = (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(lines).toEqual(['a{of="x"} 1', 'd{of="x"} 4'])
  })
})
