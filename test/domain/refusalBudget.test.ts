import { expect, test } from 'bun:test'
import { createRefusalBudget, mostCounts, overallRate, sourceRate } from '../../src/domain/refusalBudget.ts'

const minute = 60_000

function create() {
  const clock = { now: 0 }
  const budget = createRefusalBudget<{ readonly id: string }>(() => clock.now)
  const stranger = (network: string | undefined = '192.0.2.7', type = 'login.failed') =>
    budget.admit({ type, subject: undefined, network })
  const known = (id: string) => budget.admit({ type: 'login.failed', subject: { id }, network: undefined })
  const admitted = (times: number, admit: (i: number) => boolean) =>
    Array.from({ length: times }, (_, i) => admit(i)).filter(Boolean).length
  return { clock, budget, stranger, known, admitted }
}

test('a network has a burst of recorded refusals, and then a few per minute', () => {
  const { clock, stranger, admitted } = create()
  expect(admitted(1000, () => stranger())).toBe(sourceRate.burst)
  for (let i = 0; i < 3; i++) {
    clock.now += minute
    expect(admitted(1000, () => stranger())).toBe(sourceRate.perMinute)
  }
  clock.now += 60 * minute
  expect(admitted(1000, () => stranger())).toBe(sourceRate.burst)
})

test('a week of refusals from ever new networks and about ever new users stays within the rate', () => {
  const { clock, stranger, known, admitted } = create()
  const minutes = 7 * 24 * 60
  let recorded = 0
  for (let i = 0; i < minutes; i++) {
    recorded += admitted(35, (j) => stranger(`network ${i} ${j}`)) + admitted(35, (j) => known(`user ${i} ${j}`))
    clock.now += minute
  }
  expect(recorded).toBeLessThanOrEqual(2 * (overallRate.burst + minutes * overallRate.perMinute))
  expect(recorded).toBeGreaterThanOrEqual(2 * minutes * (overallRate.perMinute - 1))
})

test('refusals of strangers hide none that concern a known user, and one user none of another', () => {
  const { stranger, known, admitted } = create()
  admitted(2000, (i) => stranger(`network ${i}`))
  admitted(2000, () => known('carol'))
  expect(known('dave')).toBe(true)
})

test('a clock that goes back grants nothing', () => {
  const { clock, stranger, admitted } = create()
  admitted(1000, () => stranger())
  clock.now -= 60 * minute
  expect(stranger()).toBe(false)
})

test('every refusal that was not recorded is in a count, of its user or network if many', () => {
  const { clock, budget, stranger, known, admitted } = create()
  const recorded = admitted(50, () => stranger()) + admitted(40, () => known('carol'))
  const first = budget.take('due')
  expect(first).toEqual([
    { type: 'login.failed', subject: undefined, network: '192.0.2.7', count: 50 - sourceRate.burst },
    { type: 'login.failed', subject: { id: 'carol' }, network: undefined, count: 40 - sourceRate.burst },
  ])
  const more = admitted(5000, (i) => stranger(`network ${i}`, i % 2 ? 'login.failed' : 'login.throttled'))
  expect(budget.take('due')).toEqual([])
  clock.now += minute
  const second = budget.take('due')
  expect(second.length).toBeLessThanOrEqual(mostCounts + 2)
  const counted = [...first, ...second].reduce((sum, { count }) => sum + count, 0)
  expect(counted + recorded + more).toBe(5090)
  expect(budget.count()).toBe(counted)
  expect(budget.take('now')).toEqual([])
})

test('counts are due once a minute, and at once if they could not be recorded', () => {
  const { clock, budget, stranger, admitted } = create()
  expect(budget.isDue()).toBe(false)
  admitted(30, () => stranger())
  const [taken] = budget.take('due')
  stranger()
  expect(budget.isDue()).toBe(false)
  if (taken) budget.giveBack(taken)
  expect(budget.take('due').map(({ count }) => count)).toEqual([11])
  stranger()
  clock.now += minute - 1
  expect(budget.isDue()).toBe(false)
  clock.now += 1
  expect(budget.isDue()).toBe(true)
})
