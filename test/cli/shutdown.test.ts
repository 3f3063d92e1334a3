import { afterEach, beforeEach, describe, expect, jest, test } from 'bun:test'
import { type ShutdownSteps, shutDown, shutdownLimits, shutdownOrder, stopHttp } from '../../src/cli/serve/shutdown.ts'
import { createLog } from '../../src/telemetry/log.ts'

const lines: { readonly event: string }[] = []
const log = createLog({
  level: 'info',
  format: 'json',
  now: Date.now,
  write: (line) => lines.push(JSON.parse(line)),
})

beforeEach(() => {
  lines.length = 0
  jest.useFakeTimers()
})
afterEach(() => {
  jest.useRealTimers()
})

/** Runs the microtasks that are due, since fake timers stop the event loop's own. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}

/** Returns one step per part, in reverse order, that records its start and its end. */
function recordingSteps(record: string[]): ShutdownSteps {
  const steps = [...shutdownOrder].reverse().map((part) => [
    part,
    async () => {
      record.push(`${part} stops`)
      await settle()
      record.push(`${part} stopped`)
    },
  ])
  return Object.fromEntries(steps)
}

describe('shutdown', () => {
  test('stops each part after the one before, whatever order they started in', async () => {
    const record: string[] = []
    await shutDown(recordingSteps(record), log)
    expect(record).toEqual(shutdownOrder.flatMap((part) => [`${part} stops`, `${part} stopped`]))
    expect(lines).toEqual([])
  })

  test('stops what uses the database before the database, and releases DATA_DIR last', () => {
    expect([...shutdownOrder]).toEqual([
      'controlSocket',
      'housekeeping',
      'keyRing',
      'clock',
      'failover',
      'durability',
      'http',
      'audit',
      'database',
      'metrics',
      'dataDirectory',
    ])
  })

  test('stops only what has started', async () => {
    const record: string[] = []
    const { http, dataDirectory } = recordingSteps(record)
    await shutDown({ ...(http && { http }), ...(dataDirectory && { dataDirectory }) }, log)
    expect(record).toEqual(['http stops', 'http stopped', 'dataDirectory stops', 'dataDirectory stopped'])
  })

  test('logs a part that fails and stops the others', async () => {
    const record: string[] = []
    const steps = {
      ...recordingSteps(record),
      housekeeping: () => {
        throw new TypeError('broken')
      },
      database: () => Promise.reject(new RangeError('broken')),
    }
    await shutDown(steps, log)
    expect(lines).toMatchObject([
      { event: 'server.stop_failed', error: 'TypeError' },
      { event: 'server.stop_failed', error: 'RangeError' },
    ])
    expect(record).toContain('http stopped')
    expect(record.at(-1)).toBe('dataDirectory stopped')
  })

  test('ends at the deadline when a part never stops', async () => {
    const record: string[] = []
    let isOver = false
    const shutdown = shutDown({ ...recordingSteps(record), http: () => new Promise(() => {}) }, log).then(() => {
      isOver = true
    })
    await settle()
    jest.advanceTimersByTime(shutdownLimits.deadline - 1)
    await settle()
    expect(isOver).toBe(false)
    jest.advanceTimersByTime(1)
    await shutdown
    expect(record).not.toContain('database stops')
  })
})

describe('stopping HTTP', () => {
  function startStopping() {
    const events: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const http = {
      expireIncompleteRequests: () => void events.push('unfinished'),
      expireAllRequests: () => void events.push('all'),
    }
    return { events, respondToAll: resolve, stopped: stopHttp({ stop: () => promise }, http) }
  }

  test('gives up incomplete requests after 1 s and all others after 7 s', async () => {
    const { events, respondToAll, stopped } = startStopping()
    jest.advanceTimersByTime(999)
    expect(events).toEqual([])
    jest.advanceTimersByTime(1)
    expect(events).toEqual(['unfinished'])
    jest.advanceTimersByTime(5999)
    expect(events).toEqual(['unfinished'])
    jest.advanceTimersByTime(1)
    expect(events).toEqual(['unfinished', 'all'])
    respondToAll()
    await stopped
  })

  test('gives up nothing when every request gets its response in time', async () => {
    const { events, respondToAll, stopped } = startStopping()
    respondToAll()
    await stopped
    jest.advanceTimersByTime(10_000)
    expect(events).toEqual([])
  })
})
