import { expect, test } from 'bun:test'
import {
  countRate,
  createRefusalBudget,
  mostCounts,
  mostPerSecond,
  overallRate,
  sourceRate,
} from '../../src/domain/refusalBudget.ts'

const minute = 60_000

function create() {
  const clock = { now: 0 }
  const budget = createRefusalBudget<{ readonly id: string }>(() => clock.now)
  const stranger = (network: string | undefined = '192.0.2.7', type = 'login.failed') =>
    budget.admit({ type, subject: undefined, network })
  const known = (id: string) => budget.admit({ type: 'login.failed', subject: { id }, network: undefined })
  const admitted = (times: number, admit: (i: number) => boolean) =>
    Array.from({ length: times }, (_, i) => admit(i)).filter(Boolean).length
  /** So many refusals, ten in a second. */
  const admittedSlowly = (times: number, admit: (i: number) => boolean) =>
    admitted(times, (i) => {
      clock.now += 100
      return admit(i)
    })
  return { clock, budget, stranger, known, admitted, admittedSlowly }
}

test('at most 20 refusals are recorded in a second', () => {
  const { clock, stranger, known, admitted } = create()
  for (let second = 0; second < 5; second++) {
    expect(admitted(1000, (i) => stranger(`network ${second} ${i}`))).toBe(mostPerSecond)
    expect(admitted(1000, (i) => known(`user ${second} ${i}`))).toBe(mostPerSecond)
    clock.now += 1000
  }
})

test('a network has a burst of recorded refusals, and then a few per minute', () => {
  const { clock, stranger, admittedSlowly } = create()
  expect(admittedSlowly(sourceRate.burst, () => stranger())).toBe(sourceRate.burst)
  admittedSlowly(500, () => stranger())
  for (let i = 0; i < 3; i++) expect(admittedSlowly(600, () => stranger())).toBe(sourceRate.perMinute)
  clock.now += 60 * minute
  expect(admittedSlowly(sourceRate.burst, () => stranger())).toBe(sourceRate.burst)
})

test('a week of refusals from ever new networks and about ever new users stays within the rate', () => {
  const { clock, stranger, known, admitted } = create()
  const minutes = 7 * 24 * 60
  let recorded = 0
  for (let i = 0; i < minutes; i++) {
    for (let half = 0; half < 2; half++) {
      recorded += admitted(18, (j) => stranger(`network ${i} ${half} ${j}`))
      recorded += admitted(18, (j) => known(`user ${i} ${half} ${j}`))
      clock.now += minute / 2
    }
  }
  expect(recorded).toBeLessThanOrEqual(2 * (overallRate.burst + minutes * overallRate.perMinute))
  expect(recorded).toBeGreaterThanOrEqual(2 * minutes * (overallRate.perMinute - 1))
})

test('refusals of strangers hide none that concern a known user, and one user none of another', () => {
  const { stranger, known, admittedSlowly } = create()
  admittedSlowly(2000, (i) => stranger(`network ${i}`))
  admittedSlowly(2000, () => known('carol'))
  expect(known('dave')).toBe(true)
})

test('a clock that goes back grants nothing', () => {
  const { clock, stranger, admittedSlowly } = create()
  admittedSlowly(1000, () => stranger())
  clock.now -= 60 * minute
  expect(stranger()).toBe(false)
})

test('every refusal that was not recorded is in a count, of its user or network if many', () => {
  const { clock, budget, stranger, known, admitted } = create()
  const recorded = admitted(50, () => stranger()) + admitted(40, () => known('carol'))
  const first = budget.take('due')
  expect(first).toEqual([
    { type: 'login.failed', subject: undefined, network: '192.0.2.7', count: 50 - mostPerSecond },
    { type: 'login.failed', subject: { id: 'carol' }, network: undefined, count: 40 - mostPerSecond },
  ])
  const more = admitted(5000, (i) => stranger(`network ${i}`, i % 2 ? 'login.failed' : 'login.throttled'))
  expect(budget.take('due')).toEqual([])
  clock.now += 1000
  const second = budget.take('due')
  expect(second.length).toBeLessThanOrEqual(mostCounts + 2)
  const counted = [...first, ...second].reduce((sum, { count }) => sum + count, 0)
  expect(counted + recorded + more).toBe(5090)
  expect(budget.count()).toBe(counted)
  expect(budget.take('now')).toEqual([])
})

test('counts are due once a second in a short flood, and once a minute in a long one', () => {
  const { clock, budget, stranger, admitted } = create()
  expect(budget.isDue()).toBe(false)
  const takenIn = (seconds: number) => {
    let taken = 0
    for (let second = 0; second < seconds; second++) {
      admitted(30, () => stranger())
      taken += Number(budget.take('due').length > 0)
      clock.now += 1000
    }
    return taken
  }
  expect(takenIn(10)).toBe(10)
  takenIn(300)
  expect(takenIn(600)).toBe(10)
  clock.now += 60 * minute
  expect(takenIn(countRate.burst)).toBe(countRate.burst)
})

test('counts that could not be recorded are due after a second', () => {
  const { clock, budget, stranger, admitted } = create()
  admitted(mostPerSecond + 10, () => stranger())
  const [taken] = budget.take('due')
  stranger()
  if (taken) budget.giveBack(taken)
  expect(budget.isDue()).toBe(false)
  clock.now += 1000
  expect(budget.take('due').map(({ count }) => count)).toEqual([11])
})
