import { describe, expect, test } from 'bun:test'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import type { PresentedEvent } from '../../../src/domain/audit/presentEvent.ts'
import { csvHeader, csvLine, csvLineOf } from '../../../src/http/audit/csv.ts'

const read = (text: string): string[][] => parse(text, { relaxColumnCount: false })
const hostile = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', '"', "'", ',', ';', '\0', ' ', '\u2028', '＝', '😀', 'a'),
    )
    .map((parts) => parts.join('')),
)

describe('CSV', () => {
  test('returns every cell as it was, or behind an apostrophe if it is a formula', () => {
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 2, maxLength: 6 }), (cells) => {
        const [line, ...others] = read(csvLine(cells))
        expect(others).toEqual([])
        expect(line).toEqual(cells.map((cell) => (/^[=+\-@\t\r\n＝＋－＠]/.test(cell) ? `'${cell}` : cell)))
      }),
    )
  })

  test('has no cell that starts a formula, also after unquoting', () => {
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 2, maxLength: 6 }), (cells) => {
        for (const cell of read(csvLine(cells))[0] ?? []) expect(cell).not.toMatch(/^[=+\-@\t\r]/)
      }),
    )
  })

  test.each([
    [['a', 'b'], 'a,b\r\n'],
    [['a,b', 'c"d', 'e\r\nf'], '"a,b","c""d","e\r\nf"\r\n'],
    [['', null, 'x'], '"",,x\r\n'],
    [
      ["=cmd|'/c calc'!A0", '+1', '-1', '@SUM(A1)', '\tx', '\rx'],
      `'=cmd|'/c calc'!A0,'+1,'-1,'@SUM(A1),"'\tx","'\rx"\r\n`,
    ],
    [['\u2028', 'é', '😀'], '"\u2028",é,😀\r\n'],
  ])('writes %p by RFC 4180', (cells, line) => {
    expect(csvLine(cells)).toBe(line)
  })

  test('has as many cells in a record as in the header', () => {
    const party = {
      kind: 'user',
      id: null,
      username: '=1',
      full_name: null,
      address: '::1',
      user_agent: 'a\0b',
      erased: false,
    }
    const event: PresentedEvent = {
      index: 7,
      time: '2026-01-31T08:00:00.000Z',
      type: 'logout',
      outcome: 'done',
      by: party,
      about: null,
      session: null,
      request: '-r',
      facts: { fields: ['a', '"'] },
    }
    const [header = [], line = []] = read(csvHeader + csvLineOf(event))
    const record = Object.fromEntries(header.map((name, column) => [name, line[column]]))
    expect(record).toEqual({
      index: '7',
      time: event.time,
      type: 'logout',
      outcome: 'done',
      by_kind: 'user',
      by_id: '',
      by_username: "'=1",
      by_full_name: '',
      by_address: '::1',
      by_user_agent: 'a\0b',
      by_erased: 'false',
      about_kind: '',
      about_id: '',
      about_username: '',
      about_full_name: '',
      about_address: '',
      about_user_agent: '',
      about_erased: '',
      session: '',
      request: "'-r",
      facts: '{"fields":["a","\\""]}',
    })
  })
})
