import { expect, test } from 'bun:test'
import { createAvailabilityLog } from '../../../src/db/pool/availabilityLog.ts'
import { AppError } from '../../../src/error.ts'
import { createLog } from '../../../src/telemetry/log.ts'

test('availability log: writes one line per outage and recovery, and one per half minute or change of reason', () => {
  const lines: Record<string, unknown>[] = []
  let now = 0
  const log = createLog({
    level: 'info',
    format: 'json',
    now: () => now,
    write: (line) => lines.push(JSON.parse(line)),
  })
  const watch = createAvailabilityLog(log, () => now)
  const fail = (reason: string) => watch.failed(new AppError('unavailable', reason))
  const newLines = () => lines.splice(0).map(({ event, detail }) => [event, detail])

  watch.succeeded()
  for (let count = 0; count < 1000; count++) fail('closed')
  expect(newLines()).toEqual([['database.unavailable', 'closed']])

  // Two alternating reasons make a line per second, not one each.
  for (now = 10; now < 3000; now += 10) fail(now % 20 ? 'closed' : 'refused')
  expect(newLines().length).toBeLessThanOrEqual(3)
  for (now = 3000; now < 50_000; now += 1000) fail('refused')
  expect(newLines().length).toBeLessThanOrEqual(3)

  now -= 500
  // A success between failures is no recovery: writes may fail while reads succeed.
  watch.succeeded()
  now += 10
  fail('refused')
  watch.succeeded()
  now += 1000
  watch.succeeded()
  watch.succeeded()
  expect(newLines()).toEqual([['database.available', undefined]])
})
