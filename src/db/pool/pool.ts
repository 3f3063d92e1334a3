import { AppError } from '../../error.ts'
import {
  connectionFenced,
  databaseFailure,
  endsAllConnections,
  endsConnection,
  isDriverFailure,
  located,
  lostToConcurrency,
  unreplicated,
} from '../failure.ts'
import { readHostState } from '../hosts/hostState.ts'
import type { AvailabilityObserver } from './availabilityLog.ts'
import type { Admit, DatabaseTarget, OpenConnection } from './connection.ts'
import { createConnector, labelOf } from './connector.ts'
import {
  createLanes,
  isTurnOf,
  type Lane,
  mayUse,
  nextOperation,
  type Operation,
  type PooledConnection,
  type Work,
  weightOn,
} from './lanes.ts'
import {
  type Connections,
  canExpectConnection,
  connectForWaiting,
  discard,
  discardIdleSince,
  discardStale,
  endConnections,
  findAvailable,
  type PoolState,
  stateOf,
} from './slots.ts'

/** Replaces lost connections. Every operation settles within its time limit. */
export interface Pool {
  /**
   * Runs work that has a server connection to itself. Rejects with an AppError: the error of
   * `work`, or `unavailable`, after which a change may or may not have been made.
   */
  run<T>(work: Work<T>, limit?: 'unlimited'): Promise<T>
  /**
   * Runs one read-only statement on a connection that all reads share. Retries once if it is lost.
   * `limit` is in milliseconds.
   */
  read<T>(work: Work<T>, limit?: number): Promise<T>
  /** Opens one connection more, which the caller ends. Rejects if there is one already. */
  openSpare(): Promise<OpenConnection>
  state(): PoolState
  readonly kind: DatabaseTarget['kind']
  /** Names the database in messages. Undefined if it is embedded. */
  readonly label: string | undefined
  close(): Promise<void>
}

/** Milliseconds that one operation may take, including the wait for a connection. */
const operationLimit = 4000

interface Context {
  readonly connections: Connections
  readonly observer: AvailabilityObserver
  readonly kind: DatabaseTarget['kind']
  /** Names the database in messages. */
  readonly label: string | undefined
}

/** Returns a pool that connects when it is first used. */
export function openPool(
  target: DatabaseTarget,
  observer: AvailabilityObserver = { failed() {}, succeeded() {}, fenced() {} },
  now: () => number = () => performance.now(),
  admit?: Admit,
): Pool {
  const { reads, others } = createLanes(target)
  const lanes = [...new Set([reads, others])]
  const connections: Connections = {
    connector: createConnector(target, now, {
      admit,
      onStale: (...stale) => discardStale(connections, observer, ...stale),
      readPrimary: () => submit(context, reads, ({ client }) => readHostState(client), true, operationLimit),
    }),
    now,
    hasNetwork: target.kind === 'server',
    lanes,
    slots: [...new Set(lanes.flatMap(({ slots }) => slots))],
    onAvailable: () => dispatchAll(context),
    onConnectFailed: (failure) => failUnreachable(context, failure),
    retry: undefined,
    isClosed: false,
    opened: 0,
  }
  const context: Context = { connections, observer, kind: target.kind, label: labelOf(target) }
  return {
    run: (work, limit) => submit(context, others, work, false, limit === 'unlimited' ? undefined : operationLimit),
    read: (work, limit = operationLimit) => submit(context, reads, work, true, limit),
    openSpare: connections.connector.openSpare,
    kind: target.kind,
    label: labelOf(target),
    state: () => stateOf(connections),
    close: () => close(context),
  }
}

function submit<T>(context: Context, lane: Lane, work: Work<T>, isRepeatable: boolean, limit?: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const startedAt = context.connections.now()
  const operation: Operation = {
    lane,
    work,
    startedAt,
    resolve,
    reject,
    timer: undefined,
    pooled: undefined,
    isRepeatable,
  }
  if (limit !== undefined) operation.timer = setTimeout(() => expire(context, operation), limit)
  acquire(context, operation)
  return promise
}

/** Executes the operation on an available connection, or queues it. */
function acquire(context: Context, operation: Operation): void {
  const { connections } = context
  const { lane } = operation
  const pooled = isTurnOf(connections, lane) ? findAvailable(connections, lane) : undefined
  if (pooled) execute(context, operation, pooled)
  else if (connections.isClosed) settle(context, operation, closed())
  else if (lane.waiting.length >= lane.maxWaiting)
    settle(context, operation, new AppError('unavailable', 'Too many operations are waiting for the database.'))
  else {
    lane.waiting.push(operation)
    dispatch(context, lane)
  }
}

function execute(context: Context, operation: Operation, pooled: PooledConnection): void {
  operation.pooled = pooled
  pooled.load += weightOn(operation.lane, pooled)
  const failWith = (error: unknown) => fail(context, operation, pooled, error)
  operation.work(pooled.connection).then((value) => {
    if (pooled.connection.isFenced()) return failWith(undefined)
    release(context, operation.lane, pooled)
    const failure = pooled.connection.takeUnreplicated() ? located(unreplicated(), context.label) : undefined
    if (operation.pooled === pooled) settle(context, operation, failure, value)
  }, failWith)
}

/** Errors of the work itself, such as `not_found`, stay as thrown. */
function failureOf({ label }: Context, error: unknown): AppError {
  const failure = databaseFailure(error)
  return isDriverFailure(failure) ? located(failure, label) : failure
}

function fail(context: Context, operation: Operation, pooled: PooledConnection, error: unknown): void {
  const { connections } = context
  // An error such as `not_found` may come from a result too.
  const failure = failureOf(context, pooled.connection.isFenced() ? connectionFenced() : error)
  const isLost = endsConnection(failure)
  if (endsAllConnections(failure)) {
    for (const slot of connections.slots) if (slot.pooled) discard(connections, slot.pooled)
  } else if (isLost) discard(connections, pooled)
  release(context, operation.lane, pooled)
  // It may have expired already.
  if (operation.pooled !== pooled) return
  if (isLost && operation.isRepeatable) {
    operation.isRepeatable = false
    operation.pooled = undefined
    acquire(context, operation)
  } else settle(context, operation, failure)
}

function release(context: Context, lane: Lane, pooled: PooledConnection): void {
  const { connections } = context
  pooled.load -= weightOn(lane, pooled)
  pooled.lastReleasedAt = connections.now()
  if (pooled.isRetired && pooled.load === 0) void pooled.connection.end()
  for (const other of connections.lanes)
    if (other.waiting.length > 0 && (other === lane || mayUse(other, pooled))) dispatch(context, other)
}

/** Executes waiting operations on available connections, and connects for the rest of the lane. */
function dispatch(context: Context, lane: Lane): void {
  const { connections } = context
  for (;;) {
    const operation = nextOperation(connections, lane)
    const pooled = operation && findAvailable(connections, operation.lane)
    if (!pooled) break
    operation.lane.waiting.shift()
    execute(context, operation, pooled)
  }
  connectForWaiting(connections, lane)
}

function dispatchAll(context: Context): void {
  for (const lane of context.connections.lanes) dispatch(context, lane)
}

/** Rejects the waiting operations once there is no connection in any lane and none is coming. */
function failUnreachable(context: Context, failure: AppError): void {
  const { connections } = context
  if (!canExpectConnection(connections, failure))
    for (const { waiting } of connections.lanes)
      for (const operation of waiting.splice(0)) settle(context, operation, failure)
  dispatchAll(context)
}

/**
 * PostgreSQL cannot cancel one statement of a pipeline, so the whole connection is discarded, along
 * with those idle since before the operation: after a silent failover they are lost too. The
 * embedded engine has a single session, which is never lost.
 */
function expire(context: Context, operation: Operation): void {
  const { connections, kind, label } = context
  const { pooled, lane, startedAt } = operation
  if (pooled === undefined) lane.waiting.splice(lane.waiting.indexOf(operation), 1)
  settle(context, operation, located(new AppError('unavailable', 'The database did not respond in time.'), label))
  if (pooled === undefined || kind === 'embedded') return
  discard(connections, pooled)
  discardIdleSince(connections, startedAt)
  dispatchAll(context)
}

function settle({ observer }: Context, operation: Operation, failure: AppError | undefined, value?: unknown): void {
  clearTimeout(operation.timer)
  operation.pooled = undefined
  if (failure === undefined) {
    observer.succeeded()
    operation.resolve(value as never)
  } else {
    const isOutage = failure.code === 'unavailable' || failure.code === 'refused'
    if (isOutage && !lostToConcurrency(failure)) observer.failed(failure)
    operation.reject(failure)
  }
}

async function close(context: Context): Promise<void> {
  const { connections } = context
  connections.isClosed = true
  for (const { waiting } of connections.lanes)
    for (const operation of waiting.splice(0)) settle(context, operation, closed())
  await endConnections(connections)
}

const closed = () => new AppError('unavailable', 'The database connection is closed.')
