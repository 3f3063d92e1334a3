import { heapStats } from 'bun:jsc'
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { readRecords } from '../../../src/domain/import/records.ts'
import { read } from './readRecords.ts'

describe('readRecords: NDJSON', () => {
  test('numbers lines like an editor and skips blank ones', async () => {
    expect(await read('\ufeff{"username":"a"}\r\n\n{"username":"b"}', 'ndjson')).toEqual([
      '1: {"username":"a"}',
      '3: {"username":"b"}',
    ])
  })

  test('reports each line that is not a JSON object', async () => {
    const text = Buffer.concat([
      Buffer.from('{"a":\n[1]\n"x"\nnull\n{"a":"\0"}\n'),
      Buffer.from([0xff, 0xfe, 0x0a]),
      Buffer.from(`${'['.repeat(100_000)}\n`),
      Buffer.from('{"__proto__":{"is_active":true}}\n'),
    ])
    expect(await read(text, 'ndjson', 4096)).toEqual([
      '1: is not valid JSON',
      '2: is not a JSON object',
      '3: is not a JSON object',
      '4: is not a JSON object',
      '5: contains a NUL character',
      '6: is not valid UTF-8',
      '7: is not valid JSON',
      '8: {"__proto__":{"is_active":true}}',
    ])
  })

  test('reports repeated members at any depth', async () => {
    const lines = [
      '{"is_active":false,"is_active":true}',
      '{"is_active":false,"is\\u005factive":true}',
      '{"a":{"b":[{"c":1,"c":2}]}}',
      '{"a":{"a":["a","a",{"a":1}]},"b":"\\"a\\":1,\\"a\\":\\\\"}',
      `{"a":${JSON.stringify('\\"'.repeat(200_000))},"b":1,"b":2}`,
    ]
    expect((await read(lines.join('\n'), 'ndjson', 4096)).map((found) => found.slice(0, 40))).toEqual([
      '1: has a repeated member',
      '2: has a repeated member',
      '3: has a repeated member',
      `4: ${lines[3]?.slice(0, 37)}`,
      '5: has a repeated member',
    ])
  })

  test('reads on after an oversized line, in bounded memory', async () => {
    const filler = Buffer.alloc(1024 * 1024, 'x')
    /** Bytes in use, without those that could be freed. */
    const used = () => {
      Bun.gc(true)
      return heapStats().heapSize
    }
    const before = used()
    let during = 0
    async function* chunks() {
      for (let at = 0; at < 512; at++) yield filler
      during = used()
      yield Buffer.from('\n{"username":"a"}\n')
    }
    const found: unknown[] = []
    for await (const records of readRecords(chunks(), 'ndjson')) found.push(...records)
    expect(found).toEqual([
      { place: 1, error: 'is longer than 1 MiB' },
      { place: 2, fields: { username: 'a' } },
    ])
    // The line has 512 MiB.
    expect(during - before).toBeLessThan(64 * 1024 * 1024)
  })
})

describe('readRecords: JSON', () => {
  test.each([
    '[{"username":"a"},{"username":"b"}]',
    '{"realm":"x","roles":{"users":[{"no":1}]},"users":[ {"username":"a"} , {"username":"b"} ],"groups":[{"no":2}]}',
    '\ufeff{\n "users" : [\n  {"username":"a"},\n  {"username":"b"}\n ]\n}\n',
  ])('reads an array of users, or the member users: %s', async (text) => {
    for (const chunk of [1, 3, 1000])
      expect(await read(text, 'json', chunk)).toEqual(['1: {"username":"a"}', '2: {"username":"b"}'])
  })

  test('returns any objects, wherever the chunks end', async () => {
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

  test('reports elements that are not objects', async () => {
    expect(await read('[1, "a,]", {"username":"b"}, [2]]', 'json')).toEqual([
      '1: is not a JSON object',
      '2: is not a JSON object',
      '3: {"username":"b"}',
      '4: is not a JSON object',
    ])
  })

  test.each(['[{"username":"a"}', '{"users":[{"a":1}]', '[{"a":"'])('rejects a truncated document: %s', (text) => {
    expect(read(text, 'json')).rejects.toThrow('ends in the middle')
  })

  test.each([
    '[{"username":"a"}][{"username":"b"}]',
    '{"users":[{"username":"a"}]}\n{"users":[{"username":"b"}]}',
    '[{"username":"a"}] more',
    '[{"username":"a"}]]',
    '{"users":[{"username":"a"}],"users":[{"username":"b"}]}',
  ])('rejects more JSON after the users: %s', (text) => {
    for (const chunk of [1, 1000]) expect(read(text, 'json', chunk)).rejects.toThrow('after its users')
  })

  test('accepts other members after the users', async () => {
    const text =
      '{"users":[{"username":"a"}],"roles":{"users":[1]},"clients":["users",[{"users":[2]}],"users"],"x":"users"}\r\n '
    expect(await read(text, 'json')).toEqual(['1: {"username":"a"}'])
  })

  test.each(['{"username":"a"}\n{"username":"b"}', '', '7', '{"users":{}}'])(
    'rejects a document without an array of users: %j',
    (text) => {
      expect(read(text, 'json')).rejects.toThrow('neither a JSON array')
    },
  )

  test('treats arbitrary input the same wherever the chunks end', async () => {
    const tokens = ['[', ']', '{', '}', '"', '\\', ',', ':', ' ', '\n', '"users"', '{"a":1}', 'x']
    const text = fc.array(fc.constantFrom(...tokens), { maxLength: 30 }).map((parts) => parts.join(''))
    const outcome = (file: string, chunk: number) => read(file, 'json', chunk).catch((error: Error) => error.message)
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 10 }), async (tail, chunk) => {
        for (const file of [tail, `[${tail}`, `{"users":[${tail}`])
          expect(await outcome(file, chunk)).toEqual(await outcome(file, 10_000))
      }),
      { numRuns: 500 },
    )
  })
})

describe('readRecords: JSON of many realms', () => {
  const realm = (name: string, ...users: string[]) =>
    JSON.stringify({
      id: name,
      realm: name,
      roles: { users: [{ no: 1 }] },
      users: users.map((username) => ({ username })),
      clients: [{ users: [2] }],
    })
  const found = (...names: string[]) => names.map((username, at) => `${at + 1}: {"username":"${username}"}`)

  test.each([
    ['two realms', `[${realm('a', 'x', 'y')},${realm('b', 'z')}]`, found('x', 'y', 'z')],
    ['white space', `[ ${realm('a', 'x')} ,\n ${realm('b', 'z')}\n ]\n`, found('x', 'z')],
    [
      'a realm without users',
      `[{"realm":"m","keys":{"users":[1]}},${realm('b', 'z')}]`,
      ['1: {"realm":"m","keys":{"users":[1]}}', '2: {"username":"z"}'],
    ],
    ['a realm with an empty list of users', `[${realm('a')},${realm('b', 'z')}]`, found('z')],
    ['a realm without a name', '[{"users":[{"username":"x"}]}]', found('x')],
    ['users before the name', '[{"users":[{"username":"x"}],"realm":"a"}]', found('x')],
    ['one realm', realm('a', 'x', 'y'), found('x', 'y')],
    ['users', '[{"username":"x"},{"username":"y"}]', found('x', 'y')],
  ])('reads a document of %s', async (_what, text, expected) => {
    for (const chunk of [1, 3, 1000]) expect(await read(text, 'json', chunk, true)).toEqual(expected)
  })

  test('takes a user for a user whatever is in it', async () => {
    const user = {
      realm: 'a',
      username: 'realm',
      x: 'users',
      attributes: { users: ['a'], realm: ['b'] },
      y: ['users', { users: [1] }],
    }
    expect(await read(JSON.stringify([user]), 'json', 7, true)).toEqual([`1: ${JSON.stringify(user)}`])
  })

  test('skips what a realm has beside its users, however large', async () => {
    const text = `[{"keys":"${'k'.repeat(2 * 1024 * 1024)}","realm":"a","users":[{"username":"x"}],"more":"${'k'.repeat(2 * 1024 * 1024)}"}]`
    expect(await read(text, 'json', 65536, true)).toEqual(found('x'))
  })

  test.each([
    ['[{"realm":"a","users":[{"a":1}]}', 'ends in the middle'],
    ['[{"realm":"a","users":[{"a":1}', 'ends in the middle'],
    ['[{"realm":"a"', 'ends in the middle'],
    ['[{"realm":"a","users":[{"a":1}],"users":[{"b":1}]}]', 'after its users'],
    [`[${realm('a', 'x')}] more`, 'after its users'],
  ])('rejects %s', (text, message) => {
    for (const chunk of [1, 1000]) expect(read(text, 'json', chunk, true)).rejects.toThrow(message)
  })

  test('reads an array of realms as users unless told', async () => {
    expect(await read('[{"realm":"a","users":[]}]', 'json')).toEqual(['1: {"realm":"a","users":[]}'])
  })

  test('treats arbitrary input the same wherever the chunks end', async () => {
    const tokens = ['[', ']', '{', '}', '"', '\\', ',', ':', ' ', '"users":[', '"realm":"a"', '{"a":1}', 'x']
    const text = fc.array(fc.constantFrom(...tokens), { maxLength: 30 }).map((parts) => parts.join(''))
    const outcome = (file: string, chunk: number) =>
      read(file, 'json', chunk, true).catch((error: Error) => error.message)
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 10 }), async (tail, chunk) => {
        for (const file of [tail, `[{${tail}`, `[{"users":[${tail}`])
          expect(await outcome(file, chunk)).toEqual(await outcome(file, 10_000))
      }),
      { numRuns: 500 },
    )
  })
})
