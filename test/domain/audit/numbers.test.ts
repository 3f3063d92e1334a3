import { describe, expect, test } from 'bun:test'
import { createEventNumbers, type Settlement } from '../../../src/domain/audit/numbers.ts'
import { rangesIn } from '../../../src/domain/eventNumbers/ranges.ts'

describe('event numbers', () => {
  test('settle what was committed, and list what was not until an event with the list is committed', () => {
    const numbers = createEventNumbers()
    expect(numbers.take()).toEqual({ n: 1, done: 0, lost: '', unsure: '' })
    expect(numbers.take()).toEqual({ n: 2, done: 0, lost: '', unsure: '' })
    numbers.settle(2, 'lost')
    numbers.settle(1, 'committed')
    expect(numbers.take()).toEqual({ n: 3, done: 2, lost: '2', unsure: '' })
    numbers.settle(3, 'unsure')
    expect(numbers.take()).toEqual({ n: 4, done: 3, lost: '2', unsure: '3' })
    numbers.settle(4, 'committed')
    expect(numbers.take()).toEqual({ n: 5, done: 4, lost: '', unsure: '' })
  })

  test('keep what was lost while an event that lists earlier ones was in flight', () => {
    const numbers = createEventNumbers()
    for (let n = 1; n <= 3; n++) numbers.take()
    numbers.settle(2, 'lost')
    numbers.take()
    numbers.settle(1, 'lost')
    numbers.settle(3, 'lost')
    numbers.settle(4, 'committed')
    expect(numbers.take()).toMatchObject({ n: 5, done: 4, lost: '1,3' })
  })

  test('stay small and fast while a database takes no changes', () => {
    const numbers = createEventNumbers()
    const many = 200_000
    for (let n = 1; n <= many; n++) {
      numbers.take()
      numbers.settle(n, n % 100_000 === 0 ? 'unsure' : 'lost')
    }
    expect(numbers.take()).toEqual({
      n: many + 1,
      done: many,
      lost: '1-99999,100001-199999',
      unsure: '100000,200000',
    })
  })

  test('do not count as settled before they are listed', () => {
    const numbers = createEventNumbers()
    const settlements: readonly Settlement[] = ['lost', 'unsure']
    for (let n = 1; n <= 1000; n++) {
      numbers.take()
      numbers.settle(n, settlements[n % 2] ?? 'lost')
    }
    const listed = new Set<number>()
    for (let round = 0; round < 3; round++) {
      const { n, done, lost, unsure } = numbers.take()
      for (const [first, last] of rangesIn([lost, unsure].flatMap((text) => text.split(','))))
        for (let number = first; number <= last; number++) listed.add(number)
      for (let number = 1; number <= Math.min(done, 1000); number++) expect(listed).toContain(number)
      numbers.settle(n, 'committed')
    }
    expect(listed.size).toBe(1000)
  })
})
