import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { ImportFormat } from '../../../src/domain/import/recordSplitter.ts'
import { readRecords } from '../../../src/domain/import/records.ts'

/** Every record, with the file cut into chunks of that many bytes. */
async function read(text: string | Uint8Array, format: ImportFormat, chunk = 7): Promise<string[]> {
  const bytes = Buffer.from(text)
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk)
  }
  const found: string[] = []
  for await (const records of readRecords(chunks(), format)) {
    for (const record of records)
      found.push(`${record.place}: ${'fault' in record ? record.fault : JSON.stringify(record.fields)}`)
  }
  return found
}

describe('lines of JSON', () => {
  test('are numbered as an editor numbers them, blank ones passed over', async () => {
    expect(await read('\ufeff{"username":"a"}\r\n\n{"username":"b"}', 'ndjson')).toEqual([
      '1: {"username":"a"}',
      '3: {"username":"b"}',
    ])
  })

  test('that are none are told one by one', async () => {
    const text = Buffer.concat([
      Buffer.from('{"a":\n[1]\n"x"\nnull\n{"a":"\0"}\n'),
      Buffer.from([0xff, 0xfe, 0x0a]),
      Buffer.from(`${'['.repeat(100_000)}\n`),
      Buffer.from('{"__proto__":{"is_active":true}}\n'),
    ])
    expect(await read(text, 'ndjson', 4096)).toEqual([
      '1: is not JSON',
      '2: is no JSON object',
      '3: is no JSON object',
      '4: is no JSON object',
      '5: has a NUL character in it',
      '6: is not text in UTF-8',
      '7: is not JSON',
      '8: {"__proto__":{"is_active":true}}',
    ])
  })

  test('that say something twice are told, wherever in them: of two words on who may sign in, none is taken', async () => {
    const lines = [
      '{"is_active":false,"is_active":true}',
      '{"is_active":false,"is\\u005factive":true}',
      '{"a":{"b":[{"c":1,"c":2}]}}',
      '{"a":{"a":["a","a",{"a":1}]},"b":"\\"a\\":1,\\"a\\":\\\\"}',
      `{"a":${JSON.stringify('\\"'.repeat(200_000))},"b":1,"b":2}`,
    ]
    expect((await read(lines.join('\n'), 'ndjson', 4096)).map((found) => found.slice(0, 40))).toEqual([
      '1: has a member more than once',
      '2: has a member more than once',
      '3: has a member more than once',
      `4: ${lines[3]?.slice(0, 37)}`,
      '5: has a member more than once',
    ])
  })

  test('that are gigantic take no memory, and the next one is read', async () => {
    const filler = Buffer.alloc(1024 * 1024, 'x')
    async function* chunks() {
      for (let at = 0; at < 512; at++) yield filler
      yield Buffer.from('\n{"username":"a"}\n')
    }
    Bun.gc(true)
    const before = process.memoryUsage().rss
    const found: unknown[] = []
    for await (const records of readRecords(chunks(), 'ndjson')) found.push(...records)
    expect(found).toEqual([
      { place: 1, fault: 'is longer than a mebibyte' },
      { place: 2, fields: { username: 'a' } },
    ])
    // Half a gibibyte went by.
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024)
  })
})

describe('CSV', () => {
  test('has quotation marks, commas and line breaks within fields, CRLF and a byte order mark', async () => {
    const text = '\ufeffusername,full_name,hashed_password\r\nada,"Lovelace, ""Ada""\r\nCountess",h\r\nbob,,\r\n'
    expect(await read(text, 'csv')).toEqual([
      `2: ${JSON.stringify({ username: 'ada', full_name: 'Lovelace, "Ada"\r\nCountess', hashed_password: 'h' })}`,
      '4: {"username":"bob","hashed_password":""}',
    ])
  })

  test('that is not in order is told line by line', async () => {
    const text = 'username,hashed_password\na"b,c\n"a"b,c\na\na,b,c\nlast,"open'
    expect(await read(text, 'csv')).toEqual([
      '2: has a quotation mark where CSV has none',
      '3: has a quotation mark where CSV has none',
      '4: has 1 fields, and the header names 2',
      '5: has 3 fields, and the header names 2',
      '6: has a quotation mark where CSV has none',
    ])
  })

  test.each(['username;hashed_password\n', 'user,hash\n', 'username,username\n', '"username\n'])(
    'whose first line is %j is refused',
    (text) => {
      expect(read(text, 'csv')).rejects.toThrow('The first line of')
    },
  )

  test('of any fields comes back as it was written, wherever the chunks end', async () => {
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
})

describe('a document of JSON', () => {
  test.each([
    '[{"username":"a"},{"username":"b"}]',
    '{"realm":"x","roles":{"users":[{"no":1}]},"users":[ {"username":"a"} , {"username":"b"} ],"groups":[{"no":2}]}',
    '\ufeff{\n "users" : [\n  {"username":"a"},\n  {"username":"b"}\n ]\n}\n',
  ])('is an array of users, or has one: %s', async (text) => {
    for (const chunk of [1, 3, 1000])
      expect(await read(text, 'json', chunk)).toEqual(['1: {"username":"a"}', '2: {"username":"b"}'])
  })

  test('of any objects gives each, wherever the chunks end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
        fc.integer({ min: 1, max: 50 }),
        async (users, chunk) => {
          const values = users.map((user) => JSON.parse(JSON.stringify(user).replaceAll('\\u0000', '')))
          const found = await read(JSON.stringify({ other: values, users: values }), 'json', chunk)
          expect(found).toEqual(values.map((user, at) => `${at + 1}: ${JSON.stringify(user)}`))
        },
      ),
    )
  })

  test('has elements that are no users, which are told', async () => {
    expect(await read('[1, "a,]", {"username":"b"}, [2]]', 'json')).toEqual([
      '1: is no JSON object',
      '2: is no JSON object',
      '3: {"username":"b"}',
      '4: is no JSON object',
    ])
  })

  test.each(['[{"username":"a"}', '{"users":[{"a":1}]', '[{"a":"'])('that ends too early (%s) is refused', (text) => {
    expect(read(text, 'json')).rejects.toThrow('ends in the middle')
  })

  test.each([
    '[{"username":"a"}][{"username":"b"}]',
    '{"users":[{"username":"a"}]}\n{"users":[{"username":"b"}]}',
    '[{"username":"a"}] more',
    '[{"username":"a"}]]',
    '{"users":[{"username":"a"}],"users":[{"username":"b"}]}',
  ])('with more behind its users (%s) is refused, and not read in part', (text) => {
    for (const chunk of [1, 1000]) expect(read(text, 'json', chunk)).rejects.toThrow('behind its users')
  })

  test('may have all kinds of things behind its users', async () => {
    const text =
      '{"users":[{"username":"a"}],"roles":{"users":[1]},"clients":["users",[{"users":[2]}],"users"],"x":"users"}\r\n '
    expect(await read(text, 'json')).toEqual(['1: {"username":"a"}'])
  })

  test.each(['{"username":"a"}\n{"username":"b"}', '', '7', '{"users":{}}'])(
    'of another kind (%j) is refused',
    (text) => {
      expect(read(text, 'json')).rejects.toThrow('neither a JSON array')
    },
  )
})
