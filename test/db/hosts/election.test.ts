import { expect, test } from 'bun:test'
import { elect, explainAbsence, isAhead } from '../../../src/db/hosts/election.ts'
import { AppError } from '../../../src/error.ts'

const primary = (label: string, timeline: number, isReadOnly = false) => ({
  label,
  state: { isStandby: false, isReadOnly, timeline, isExact: true, position: 100 },
  failure: undefined,
})
const standby = (label: string, timeline: number) => ({
  label,
  state: { isStandby: true, isReadOnly: true, timeline, isExact: false, position: 100 },
  failure: undefined,
})
const failed = (label: string, code: 'unavailable' | 'refused', message: string) => ({
  label,
  state: undefined,
  failure: new AppError(code, message),
})

test.each([
  ['the only primary', [standby('a', 1), primary('b', 1)], 1, 'b'],
  ['the one on the highest timeline', [primary('a', 1), primary('b', 2)], 2, 'b'],
  ['the first in the list of several', [primary('a', 2), primary('b', 2)], 2, 'a'],
  ['a writable one before a read-only one', [primary('a', 2, true), primary('b', 2)], 2, 'b'],
  ['none on a lower timeline than was seen', [primary('a', 1), failed('b', 'unavailable', 'away')], 2, undefined],
  ['none while a standby is on a higher timeline', [primary('a', 1), standby('b', 2)], 2, undefined],
  ['none of standbys', [standby('a', 1), standby('b', 1)], 1, undefined],
])('elect: returns %s', (_what, hosts, highest, expected) => {
  expect(elect(hosts, highest, undefined)?.label).toBe(expected)
})

test('elect: keeps the current primary among equal ones', () => {
  const hosts = [primary('a', 1), primary('b', 1)]
  expect(elect(hosts, 1, hosts[1])?.label).toBe('b')
})

test.each([
  ['a stale primary', [primary('a', 1), failed('b', 'unavailable', 'Away.')], 'unavailable', 'a, which is on 1'],
  ['standbys', [standby('a', 1), standby('b', 1)], 'unavailable', 'No host in DATABASE_URL is a primary'],
  ['an outage', [standby('a', 1), failed('b', 'unavailable', 'Away.')], 'unavailable', 'Away. Host: b.'],
  ['one refusal', [standby('a', 1), failed('b', 'refused', 'Rejected.')], 'unavailable', 'Rejected. Host: b.'],
  ['refusals', [failed('a', 'refused', 'No.'), failed('b', 'refused', 'No.')], 'refused', 'No. Host: a.'],
] as const)('explainAbsence: reports %s', (_what, hosts, code, message) => {
  const failure = explainAbsence(hosts, 2)
  expect(failure.code).toBe(code)
  expect(failure.message).toContain(message)
})

test.each([
  ['a standby with more of the same timeline', { position: 101 }, true],
  ['a standby with as much', { position: 100 }, false],
  ['a standby of an older timeline, such as a former primary', { position: 101, timeline: 1 }, false],
  ['a standby that names its timeline', { position: 101, isExact: true }, false],
])('isAhead: compares %s', (_what, difference, expected) => {
  expect(isAhead({ ...standby('b', 2).state, ...difference }, primary('a', 2).state)).toBe(expected)
})
