import { describe, expect, test } from 'bun:test'
import { createBatch, type Positioned } from '../../src/db/batch.ts'
import { AppError } from '../../src/error.ts'

interface Sent {
  readonly keys: readonly string[]
  readonly limit: number
  readonly response: PromiseWithResolvers<readonly Positioned<string>[]>
}

/** A batch whose queries the test answers. Every key that starts with "k" has a row. */
function openBatch() {
  const time = { now: 0 }
  const sent: Sent[] = []
  const query = (keys: readonly string[], limit: number) => {
    const response = Promise.withResolvers<readonly Positioned<string>[]>()
    sent.push({ keys, limit, response })
    return response.promise
  }
  const { find } = createBatch({ identityOf: (key: string) => key, query }, () => time.now)
  const respond = async (index: number) => {
    const { keys, response } = sent[index] as Sent
    response.resolve(keys.flatMap((key, position) => (key.startsWith('k') ? { position, row: `row of ${key}` } : [])))
    await turn()
  }
  return { time, sent, find, respond }
}

/** Lets everything that is due happen. */
async function turn(): Promise<void> {
  for (let count = 0; count < 3; count++) await new Promise((resolve) => setImmediate(resolve))
}

const codeOf = (error: unknown) => (error instanceof AppError ? error.code : error)

describe('a batch', () => {
  test('sends the lookups of one turn together, equal keys once, and returns each its row', async () => {
    const { sent, find, respond } = openBatch()
    const found = ['k1', 'k2', 'k1', 'missing'].map(find)
    await turn()
    expect(sent.map(({ keys }) => keys)).toEqual([['k1', 'k2', 'missing']])
    await respond(0)
    expect(await Promise.all(found)).toEqual(['row of k1', 'row of k2', 'row of k1', undefined])
  })

  test('never serves a lookup by a query that was sent before it', async () => {
    const { sent, find, respond } = openBatch()
    const early = find('k1')
    await turn()
    let isSettled = false
    const late = find('k1').finally(() => {
      isSettled = true
    })
    await respond(0)
    expect(await early).toBe('row of k1')
    await turn()
    expect(isSettled).toBe(false)
    expect(sent.map(({ keys }) => keys)).toEqual([['k1'], ['k1']])
    await respond(1)
    expect(await late).toBe('row of k1')
  })

  test('has at most two queries in flight, and sends what has arrived since in the next one', async () => {
    const { sent, find, respond } = openBatch()
    const groups = ['a', 'b', 'c'].map((letter) => Array.from({ length: 8 }, (_, index) => `k${letter}${index}`))
    for (const group of groups) {
      for (const key of group) void find(key)
      await turn()
    }
    expect(sent.map(({ keys }) => keys)).toEqual(groups.slice(0, 2))
    void find('k4')
    await respond(0)
    expect(sent.at(-1)?.keys).toEqual([...(groups[2] ?? []), 'k4'])
  })

  test('lets a few lookups wait for the query in flight', async () => {
    const { sent, find, respond } = openBatch()
    for (const key of ['k1', 'k2', 'k3']) {
      void find(key)
      await turn()
    }
    expect(sent.map(({ keys }) => keys)).toEqual([['k1']])
    await respond(0)
    expect(sent.at(-1)?.keys).toEqual(['k2', 'k3'])
  })

  test('has at most 256 keys, in order of arrival', async () => {
    const { sent, find, respond } = openBatch()
    const keys = Array.from({ length: 600 }, (_, index) => `k${index}`)
    const found = keys.map(find)
    await turn()
    await respond(0)
    await respond(1)
    await respond(2)
    expect(sent.map((batch) => batch.keys.length)).toEqual([256, 256, 88])
    expect(await Promise.all(found)).toEqual(keys.map((key) => `row of ${key}`))
  })

  test('fails all of its lookups if the database is unavailable, and no other', async () => {
    const { sent, find, respond } = openBatch()
    const failed = ['k1', 'k2'].map((key) => find(key).catch(codeOf))
    await turn()
    const other = find('k3')
    await turn()
    sent[0]?.response.reject(new AppError('unavailable', 'gone'))
    expect(await Promise.all(failed)).toEqual(['unavailable', 'unavailable'])
    await turn()
    await respond(1)
    expect(await other).toBe('row of k3')
  })

  test('looks up each key alone if the database rejects the query, so that one cannot harm the others', async () => {
    const { sent, find, respond } = openBatch()
    const found = ['k1', 'bad', 'k2'].map((key) => find(key).catch(codeOf))
    await turn()
    sent[0]?.response.reject(new AppError('internal', 'invalid input'))
    await turn()
    await respond(1)
    sent[2]?.response.reject(new AppError('internal', 'invalid input'))
    await turn()
    await respond(3)
    expect(sent.map(({ keys }) => keys)).toEqual([['k1', 'bad', 'k2'], ['k1'], ['bad'], ['k2']])
    expect(await Promise.all(found)).toEqual(['row of k1', 'internal', 'row of k2'])
  })

  test('counts the wait toward the limit of four seconds', async () => {
    const { time, sent, find, respond } = openBatch()
    void find('k1')
    await turn()
    const late = find('k2').catch(codeOf)
    time.now = 500
    const later = find('k3')
    time.now = 4000
    await respond(0)
    expect(await late).toBe('unavailable')
    expect(sent.map(({ limit }) => limit)).toEqual([4000, 1000])
    await respond(1)
    expect(await later).toBe('row of k3')
  })
})
