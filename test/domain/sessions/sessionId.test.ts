import { expect, test } from 'bun:test'
import { createSessionId } from '../../../src/domain/sessions/sessionId.ts'

test('a session id is a UUIDv7 with the time of its start', () => {
  const id = createSessionId(Date.parse('2026-11-28T12:00:00.123Z'))
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(Date.parse('2026-11-28T12:00:00.123Z'))
})

test('session ids of later milliseconds sort later', () => {
  const ids = Array.from({ length: 1000 }, (_, index) => createSessionId(1_800_000_000_000 + index))
  expect(ids.toSorted()).toEqual(ids)
})

test('session ids of one millisecond differ in every random bit', () => {
  const ids = Array.from({ length: 500 }, () => BigInt(`0x${createSessionId(1).replaceAll('-', '')}`))
  expect(new Set(ids).size).toBe(ids.length)
  const [first = 0n] = ids
  let changed = 0n
  for (const id of ids) changed |= id ^ first
  expect(changed).toBe(0x0fff_3fff_ffff_ffff_ffffn)
})
