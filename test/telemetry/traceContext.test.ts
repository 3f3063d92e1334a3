import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { readTraceparent } from '../../src/telemetry/traceContext.ts'

// W3C Trace Context, §3.2.
const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const span = '00f067aa0ba902b7'
const read = { trace_id: trace, span_id: span }

describe('traceparent', () => {
  test.each([
    `00-${trace}-${span}-01`,
    `00-${trace}-${span}-00`,
    `00-${trace}-${span}-ff`,
    `01-${trace}-${span}-01`,
    `cc-${trace}-${span}-01`,
    `01-${trace}-${span}-01-what-the-future-brings`,
    `fe-${trace}-${span}-01-`,
  ])('%s is accepted', (header) => {
    expect(readTraceparent(header)).toEqual(read)
  })

  test.each([
    '',
    '00',
    `ff-${trace}-${span}-01`,
    `00-${trace}-${span}`,
    `00-${trace}-${span}-`,
    `00-${trace}-${span}-1`,
    `00-${trace}-${span}-0g`,
    `00-${trace}-${span}-01-`,
    `00-${trace}-${span}-01-more`,
    `01-${trace}-${span}-01.more`,
    `01-${trace}-${span}-012`,
    `0-${trace}-${span}-01`,
    `000-${trace}-${span}-01`,
    `0G-${trace}-${span}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${trace}-${span.toUpperCase()}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.slice(1)}-${span}-01`,
    `00-${trace}0-${span}-01`,
    `00-${trace}-${span}0-01`,
    `00_${trace}_${span}_01`,
    ` 00-${trace}-${span}-01`,
    `00-${trace}-${span}-01\n`,
    `00-${trace}-${span}-01, 00-${trace}-${span}-01`,
  ])('%j is rejected', (header) => {
    expect(readTraceparent(header)).toBeUndefined()
  })

  test('contains only lower-case hexadecimal digits, whatever is sent', () => {
    const like = fc
      .tuple(
        fc.constantFrom(...'0123456789abcdef'),
        fc.string({ unit: 'binary' }),
        fc.constantFrom('', '-', '"', '\n', '\u0000'),
      )
      .map(([digit, text, odd]) => `0${digit}-${trace}${odd}-${span}-01${text}`)
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), like), (header) => {
        const found = readTraceparent(header)
        if (found) expect(found).toEqual(read)
      }),
      { numRuns: 2000 },
    )
  })
})
