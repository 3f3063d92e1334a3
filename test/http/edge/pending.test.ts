import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createPendingList, type Links } from '../../../src/http/edge/pending.ts'

interface Entry extends Links<Entry> {
  readonly name: number
}

const entryOf = (name: number): Entry => ({ name, previous: undefined, next: undefined, isPending: false })

test('a list of pending requests keeps the order in which they were added, whichever are removed', () => {
  // A negative number removes the entry of that name, any other adds one.
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -20, max: 20 })), (steps) => {
      const list = createPendingList<Entry>()
      const entries: Entry[] = []
      let expected: number[] = []
      for (const step of steps) {
        if (step >= 0) {
          const entry = entryOf(entries.length)
          entries.push(entry)
          list.add(entry)
          expected.push(entry.name)
        } else {
          const entry = entries[-step]
          if (!entry) continue
          expect(list.remove(entry)).toBe(expected.includes(entry.name))
          expected = expected.filter((name) => name !== entry.name)
        }
        expect(list.entries().map(({ name }) => name)).toEqual(expected)
      }
    }),
  )
})

test('a removed request leads to no other one, so that it keeps none alive', () => {
  const list = createPendingList<Entry>()
  const entries = [0, 1, 2].map(entryOf)
  for (const entry of entries) list.add(entry)
  expect(list.remove(entries[1] as Entry)).toBe(true)
  expect(entries[1]).toEqual(entryOf(1))
  expect(list.remove(entries[1] as Entry)).toBe(false)
  expect(list.entries()).toEqual([entries[0], entries[2]] as Entry[])
})
