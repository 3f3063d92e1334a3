import { AppError } from '../../error.ts'
import { databaseFailure, endsAllConnections, endsConnection } from '../failure.ts'
import type { AvailabilityObserver } from './availabilityLog.ts'
import type { DatabaseTarget } from './connection.ts'
import { createConnector } from './connector.ts'
import { createLanes, type Lane, type PooledConnection, type Slot, type Task, type Work } from './lanes.ts'

/** Connections to the database, each replaced when it is lost. Whatever is asked is answered within its limit. */
export interface Pool {
  /**
   * Has a server's connection to itself until it settles. Rejects with an AppError: what `work` came to, or `unavailable`,
   * after which a change may or may not have been made.
   */
  run<T>(work: Work<T>, limit?: 'unlimited'): Promise<T>
  /**
   * For one statement that only reads. All of these share a connection, on which many travel together: 1.3 times as many a
   * second as over a pool of four. What is lost with its connection is asked again, once.
   */
  read<T>(work: Work<T>): Promise<T>
  state(): PoolState
  readonly kind: DatabaseTarget['kind']
  close(): Promise<void>
}

export interface PoolState {
  readonly connections: number
  /** Operations that have no connection yet. */
  readonly waiting: number
  /** Connections since the start. */
  readonly opened: number
}

/** Milliseconds that one operation may take, waiting for a connection included. */
const operationLimit = 4000
/** Milliseconds between two attempts to fill one place. */
const pause = 200
/** Milliseconds until a connection is replaced: so many, and at most as many more, lest all are at once. */
const lifetime = 1_800_000

/** Connects to nothing before it is asked. */
export function openPool(target: DatabaseTarget, watch: AvailabilityObserver = { failed() {}, succeeded() {} }): Pool {
  const { reads, others } = createLanes(target)
  const lines = [...new Set([reads, others])]
  const places = lines.flatMap((line) => line.slots)
  const opener = createConnector(target)
  let alarm: ReturnType<typeof setTimeout> | undefined
  let isClosed = false
  let opened = 0

  function submit<T>(line: Lane, work: Work<T>, isRepeatable: boolean, limit?: number): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const startedAt = performance.now()
    const task: Task = {
      lane: line,
      work,
      startedAt,
      resolve,
      reject,
      timer: undefined,
      pooled: undefined,
      isRepeatable,
    }
    if (limit !== undefined) task.timer = setTimeout(() => expire(task), limit)
    enter(task)
    return promise
  }

  function enter(task: Task): void {
    const { lane: line } = task
    const seat = line.waiting.length === 0 ? findSeat(line) : undefined
    if (seat) start(task, seat)
    else if (isClosed) settle(task, new AppError('unavailable', 'The database is closed.'))
    else if (line.waiting.length >= line.mostWaiting)
      settle(task, new AppError('unavailable', 'Too many operations wait for the database.'))
    else {
      line.waiting.push(task)
      advance(line)
    }
  }

  function findSeat({ slots: places, depth }: Lane): PooledConnection | undefined {
    for (const place of places) {
      if (place.pooled === undefined || place.pooled.held >= depth) continue
      if (performance.now() < place.pooled.retireAt) return place.pooled
      retire(place)
    }
    return undefined
  }

  function start(task: Task, seat: PooledConnection): void {
    task.pooled = seat
    seat.held++
    task.work(seat.connection).then(
      (value) => {
        release(task.lane, seat)
        if (task.pooled === seat) settle(task, undefined, value)
      },
      (error: unknown) => {
        const failure = databaseFailure(error)
        const isLost = endsConnection(failure)
        if (endsAllConnections(failure)) for (const { pooled: seat } of places) abandon(seat)
        else if (isLost) abandon(seat)
        release(task.lane, seat)
        // Otherwise its time was over before.
        if (task.pooled !== seat) return
        if (!(isLost && task.isRepeatable)) return settle(task, failure)
        task.isRepeatable = false
        task.pooled = undefined
        enter(task)
      },
    )
  }

  function release(line: Lane, seat: PooledConnection): void {
    seat.held--
    seat.answeredAt = performance.now()
    if (seat.isRetired && seat.held === 0) void seat.connection.end()
    if (line.waiting.length > 0) advance(line)
  }

  /** Hands waiting work to whatever is free, and has connections made for the rest. */
  function advance(line: Lane): void {
    for (let task = line.waiting[0]; task; task = line.waiting[0]) {
      const seat = findSeat(line)
      if (!seat) break
      line.waiting.shift()
      start(task, seat)
    }
    const underWay = line.slots.filter((place) => place.isOpening).length
    const free = line.slots.filter((place) => !place.pooled && !place.isOpening)
    for (const place of free.slice(0, Math.max(0, line.waiting.length - underWay))) fill(place)
  }

  function fill(place: Slot): void {
    const now = performance.now()
    const due = opener.due(now)
    if (due === undefined || isClosed) return
    const delay = Math.max(due, place.notBefore - now)
    if (delay > 0) wakeIn(delay)
    else open(place, now)
  }

  function open(place: Slot, now: number): void {
    place.isOpening = true
    place.notBefore = now + pause
    opener.open().then(
      (connection) => {
        place.isOpening = false
        if (isClosed) return void connection.end()
        opened++
        const openedAt = performance.now()
        const retireAt = openedAt + lifetime * (1 + Math.random())
        const seat: PooledConnection = { connection, retireAt, held: 0, answeredAt: openedAt, isRetired: false }
        place.pooled = seat
        void connection.closed.then(() => abandon(seat))
        for (const line of lines) advance(line)
      },
      (failure: AppError) => {
        place.isOpening = false
        for (const line of lines) {
          const hasHope = line.slots.some(({ pooled: seat, isOpening }) => seat || isOpening)
          if (!hasHope) for (const task of line.waiting.splice(0)) settle(task, failure)
          advance(line)
        }
      },
    )
  }

  function wakeIn(milliseconds: number): void {
    alarm ??= setTimeout(() => {
      alarm = undefined
      for (const line of lines) advance(line)
    }, milliseconds)
  }

  /** Nothing new gets the connection; what is under way on it goes on, and ends it. */
  function retire(place: Slot): void {
    const { pooled: seat } = place
    if (seat === undefined) return
    place.pooled = undefined
    seat.isRetired = true
    if (seat.held === 0) void seat.connection.end()
  }

  /** Fails all that is under way on the connection. The place is free for another. */
  function abandon(seat: PooledConnection | undefined): void {
    for (const place of places) if (place.pooled === seat) place.pooled = undefined
    seat?.connection.abandon()
  }

  /**
   * Its time is over. Nothing can be taken back from a server's connection but all of it; and those that lie idle since before
   * it began may be as dead. An embedded engine is never gone: what is late there is late for all.
   */
  function expire(task: Task): void {
    const { pooled: seat, lane: line, startedAt } = task
    if (seat === undefined) line.waiting.splice(line.waiting.indexOf(task), 1)
    settle(task, new AppError('unavailable', 'The database did not answer in time.'))
    if (seat === undefined || target.kind === 'embedded') return
    abandon(seat)
    for (const place of places)
      if (place.pooled?.held === 0 && place.pooled.answeredAt < startedAt) abandon(place.pooled)
    for (const other of lines) advance(other)
  }

  function settle(task: Task, failure: AppError | undefined, value?: unknown): void {
    clearTimeout(task.timer)
    task.pooled = undefined
    if (failure === undefined) {
      watch.succeeded()
      task.resolve(value as never)
    } else {
      if (failure.code === 'unavailable' || failure.code === 'refused') watch.failed(failure)
      task.reject(failure)
    }
  }

  async function close(): Promise<void> {
    isClosed = true
    clearTimeout(alarm)
    const closed = new AppError('unavailable', 'The database is closed.')
    for (const line of lines) for (const task of line.waiting.splice(0)) settle(task, closed)
    await Promise.all(places.map((place) => place.pooled?.connection.end()))
  }

  return {
    run: (work, limit) => submit(others, work, false, limit === 'unlimited' ? undefined : operationLimit),
    read: (work) => submit(reads, work, true, operationLimit),
    kind: target.kind,
    state: () => ({
      connections: places.filter(({ pooled: seat }) => seat).length,
      waiting: lines.reduce((sum, { waiting }) => sum + waiting.length, 0),
      opened,
    }),
    close,
  }
}
