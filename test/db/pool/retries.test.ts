import { expect, test } from 'bun:test'
import type { Connector } from '../../../src/db/pool/connector.ts'
import { createLanes, type Operation } from '../../../src/db/pool/lanes.ts'
import { type Connections, connectForWaiting, endConnections } from '../../../src/db/pool/slots.ts'

const target = {
  kind: 'server',
  address: { host: 'db', port: 5432, database: 'd', username: 'u', password: '', sslmode: 'disable' },
  poolSize: 2,
} as const

test('pool: an attempt that is due sooner does not wait for a later one', async () => {
  const { reads, others } = createLanes(target)
  const lanes = [reads, others]
  const available = Promise.withResolvers<void>()
  // A spare connection is due in an hour. Then the only connection is lost, and one is due at once.
  let dueIn = 3_600_000
  const connector: Connector = {
    nextAttemptIn: () => dueIn,
    isGranting: () => false,
    isLimitTemporary: () => true,
    open: () => Promise.reject(new Error('not opened')),
    openSpare: () => Promise.reject(new Error('not opened')),
    close: async () => {},
  }
  const connections: Connections = {
    connector,
    lanes,
    slots: lanes.flatMap(({ slots }) => slots),
    now: () => performance.now(),
    hasNetwork: true,
    onAvailable: available.resolve,
    onConnectFailed: () => {},
    retry: undefined,
    isClosed: false,
    opened: 0,
  }
  const operation = (lane: typeof reads): Operation => ({
    lane,
    work: () => Promise.resolve(),
    startedAt: 0,
    resolve: () => {},
    reject: () => {},
    timer: undefined,
    pooled: undefined,
    isRepeatable: false,
  })
  reads.waiting.push(operation(reads))
  others.waiting.push(operation(others))
  connectForWaiting(connections, reads)
  dueIn = 1
  connectForWaiting(connections, others)
  await available.promise
  await endConnections(connections)
  expect(connections.opened).toBe(0)
})
