import { describe, expect, test } from 'bun:test'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { read } from './readRecords.ts'

/**
 * Returns the rows with two fields that are not empty; undefined if the text is not well-formed
 * CSV.
 */
function rowsOfTwo(text: string): string[][] | undefined {
  try {
    const rows: string[][] = parse(text, { record_delimiter: ['\r\n', '\n'], relax_column_count: true })
    return rows.filter((row) => row.length === 2 && row.every((field) => field !== ''))
  } catch {
    return undefined
  }
}

describe('readRecords: CSV', () => {
  test('reads quoted marks, commas and line breaks, CRLF and a byte order mark', async () => {
    const text = '\ufeffusername,full_name,hashed_password\r\nada,"Lovelace, ""Ada""\r\nCountess",h\r\nbob,,\r\n'
    expect(await read(text, 'csv')).toEqual([
      `2: ${JSON.stringify({ username: 'ada', full_name: 'Lovelace, "Ada"\r\nCountess', hashed_password: 'h' })}`,
      '4: {"username":"bob","hashed_password":""}',
    ])
  })

  test('reports each malformed line and reads on', async () => {
    const text = 'username,hashed_password\na"b,c\n"a"b,c\na\na,b,c\nlast,"open'
    expect(await read(text, 'csv')).toEqual([
      '2: has a misplaced or unclosed quotation mark',
      '3: has a misplaced or unclosed quotation mark',
      '4: has 1 fields, but the header names 2 columns',
      '5: has 3 fields, but the header names 2 columns',
      '6: has a misplaced or unclosed quotation mark',
    ])
  })

  test.each(['username;hashed_password\n', 'user,hash\n', 'username,username\n', '"username\n'])(
    'rejects the header %j',
    (text) => {
      expect(read(text, 'csv')).rejects.toThrow('The first line of')
    },
  )

  test('returns any fields unchanged, wherever the chunks end', async () => {
    const field = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0') && text.isWellFormed())
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(field, field), { minLength: 1 }),
        fc.integer({ min: 1, max: 50 }),
        async (rows, chunk) => {
          const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
          const text = `username,hashed_password\n${rows.map((row) => row.map(quoted).join(',')).join('\n')}`
          const found = await read(text, 'csv', chunk)
          const expected = rows.map(([username, hashed_password]) =>
            JSON.stringify(username === '' ? { hashed_password } : { username, hashed_password }),
          )
          expect(found.map((line) => line.slice(line.indexOf(' ') + 1))).toEqual(expected)
        },
      ),
    )
  })

  const hostile = fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', ' ', 'a', 'é'), maxLength: 60 })

  test('reads hostile input the same wherever the chunks end', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, fc.integer({ min: 1, max: 10 }), async (text, chunk) => {
        const file = `username,full_name\n${text}`
        expect(await read(file, 'csv', chunk)).toEqual(await read(file, 'csv', 1000))
      }),
      { numRuns: 500 },
    )
  })

  test('reads hostile input as csv-parse does, if it is well-formed', async () => {
    let wellFormed = 0
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        const expected = rowsOfTwo(`${text}\n`)
        if (!expected) return
        wellFormed++
        const found = await read(`username,full_name\n${text}\n`, 'csv')
        const users = found
          .map((line) => line.slice(line.indexOf(' ') + 1))
          .filter((record) => record.startsWith('{"username"') && record.includes(',"full_name":'))
        expect(users).toEqual(expected.map(([username, full_name]) => JSON.stringify({ username, full_name })))
      }),
      { numRuns: 1000 },
    )
    expect(wellFormed).toBeGreaterThan(100)
  })
})
