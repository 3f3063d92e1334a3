import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { preferredType } from '../../../src/http/input/accept.ts'

const offered = ['application/json', 'application/x-ndjson', 'text/csv'] as const

describe('the preferred media type', () => {
  test.each([
    [null, 'application/json'],
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['text/csv', 'text/csv'],
    ['TEXT/CSV', 'text/csv'],
    ['text/*', 'text/csv'],
    ['application/*', 'application/json'],
    ['text/csv, */*', 'text/csv'],
    ['text/csv, application/json', 'application/json'],
    ['text/csv, application/json;q=0.9', 'text/csv'],
    ['text/csv;q=0.5, application/x-ndjson;q=0.6, */*;q=0.1', 'application/x-ndjson'],
    ['application/json;q=0, */*', 'application/x-ndjson'],
    ['text/csv;header=present;q=0.8, application/json;q=0.7', 'text/csv'],
    ['text/csv ; q = 0.2 , application/json ; q=0.3', 'application/json'],
    ['text/csv;q=0', 'application/json'],
    ['text/html', 'application/json'],
    ['text/csv;q=2, application/x-ndjson;q=0.1', 'application/x-ndjson'],
    ['text/csv;q=0.1234, text/csv;q=', 'application/json'],
    ['csv, text, /, */csv, text/csv/x', 'application/json'],
    ['*/*;q=0', 'application/json'],
    ['application/*;q=0.1, text/csv;q=0.1', 'text/csv'],
  ] as const)('for Accept %p is %s', (accept, type) => {
    expect(preferredType(accept, offered)).toBe(type)
  })

  const quality = fc.integer({ min: 1, max: 1000 }).map((thousandths) => thousandths / 1000)
  const header = (qualities: readonly number[], order: readonly number[]) =>
    order.map((index) => `${offered[index]};q=${qualities[index]?.toFixed(3)}`).join(', ')

  test('is the one with the highest quality, in any order of the header', () => {
    const orders = fc.shuffledSubarray([0, 1, 2], { minLength: 3 })
    fc.assert(
      fc.property(fc.tuple(quality, quality, quality), orders, (qualities, order) => {
        const best = offered[qualities.indexOf(Math.max(...qualities))]
        expect(preferredType(header(qualities, order), offered)).toBe(best as (typeof offered)[number])
      }),
    )
  })

  test('is one of those offered for any header', () => {
    const piece = fc.constantFrom(
      '*/*',
      'text/*',
      'text/csv',
      ';',
      ',',
      'q=',
      '0.5',
      '1',
      '/',
      '"',
      ' ',
      '=',
      '\0',
      'é',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((pieces) => pieces.join('')),
        ),
        (accept) => {
          expect(offered).toContain(preferredType(accept, offered))
        },
      ),
    )
  })
})
