import { AppError } from '../../error.ts'
import { databaseFailure, endsAllConnections, endsConnection } from '../failure.ts'
import type { DatabaseWatch } from './availabilityLog.ts'
import type { DatabaseTarget } from './connection.ts'
import { createOpener } from './connector.ts'
import { type Line, makeLines, type Place, type Seat, type Task, type Work } from './lanes.ts'

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
export function openPool(target: DatabaseTarget, watch: DatabaseWatch = { failed() {}, answered() {} }): Pool {
  const { reads, others } = makeLines(target)
  const lines = [...new Set([reads, others])]
  const places = lines.flatMap((line) => line.places)
  const opener = createOpener(target)
  let alarm: ReturnType<typeof setTimeout> | undefined
  let isClosed = false
  let opened = 0

  function submit<T>(line: Line, work: Work<T>, isRepeatable: boolean, limit?: number): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const startedAt = performance.now()
    const task: Task = { line, work, startedAt, resolve, reject, timer: undefined, seat: undefined, isRepeatable }
    if (limit !== undefined) task.timer = setTimeout(() => expire(task), limit)
    enter(task)
    return promise
  }

  function enter(task: Task): void {
    const { line } = task
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

  function findSeat({ places, depth }: Line): Seat | undefined {
    for (const place of places) {
      if (place.seat === undefined || place.seat.held >= depth) continue
      if (performance.now() < place.seat.retireAt) return place.seat
      retire(place)
    }
    return undefined
  }

  function start(task: Task, seat: Seat): void {
    task.seat = seat
    seat.held++
    task.work(seat.connection).then(
      (value) => {
        release(task.line, seat)
        if (task.seat === seat) settle(task, undefined, value)
      },
      (error: unknown) => {
        const failure = databaseFailure(error)
        const isLost = endsConnection(failure)
        if (endsAllConnections(failure)) for (const { seat } of places) abandon(seat)
        else if (isLost) abandon(seat)
        release(task.line, seat)
        // Otherwise its time was over before.
        if (task.seat !== seat) return
        if (!(isLost && task.isRepeatable)) return settle(task, failure)
        task.isRepeatable = false
        task.seat = undefined
        enter(task)
      },
    )
  }

  function release(line: Line, seat: Seat): void {
    seat.held--
    seat.answeredAt = performance.now()
    if (seat.isRetired && seat.held === 0) void seat.connection.end()
    if (line.waiting.length > 0) advance(line)
  }

  /** Hands waiting work to whatever is free, and has connections made for the rest. */
  function advance(line: Line): void {
    for (let task = line.waiting[0]; task; task = line.waiting[0]) {
      const seat = findSeat(line)
      if (!seat) break
      line.waiting.shift()
      start(task, seat)
    }
    const underWay = line.places.filter((place) => place.isOpening).length
    const free = line.places.filter((place) => !place.seat && !place.isOpening)
    for (const place of free.slice(0, Math.max(0, line.waiting.length - underWay))) fill(place)
  }

  function fill(place: Place): void {
    const now = performance.now()
    const due = opener.due(now)
    if (due === undefined || isClosed) return
    const delay = Math.max(due, place.notBefore - now)
    if (delay > 0) wakeIn(delay)
    else open(place, now)
  }

  function open(place: Place, now: number): void {
    place.isOpening = true
    place.notBefore = now + pause
    opener.open().then(
      (connection) => {
        place.isOpening = false
        if (isClosed) return void connection.end()
        opened++
        const openedAt = performance.now()
        const retireAt = openedAt + lifetime * (1 + Math.random())
        const seat: Seat = { connection, retireAt, held: 0, answeredAt: openedAt, isRetired: false }
        place.seat = seat
        void connection.closed.then(() => abandon(seat))
        for (const line of lines) advance(line)
      },
      (failure: AppError) => {
        place.isOpening = false
        for (const line of lines) {
          const hasHope = line.places.some(({ seat, isOpening }) => seat || isOpening)
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
  function retire(place: Place): void {
    const { seat } = place
    if (seat === undefined) return
    place.seat = undefined
    seat.isRetired = true
    if (seat.held === 0) void seat.connection.end()
  }

  /** Fails all that is under way on the connection. The place is free for another. */
  function abandon(seat: Seat | undefined): void {
    for (const place of places) if (place.seat === seat) place.seat = undefined
    seat?.connection.abandon()
  }

  /**
   * Its time is over. Nothing can be taken back from a server's connection but all of it; and those that lie idle since before
   * it began may be as dead. An embedded engine is never gone: what is late there is late for all.
   */
  function expire(task: Task): void {
    const { seat, line, startedAt } = task
    if (seat === undefined) line.waiting.splice(line.waiting.indexOf(task), 1)
    settle(task, new AppError('unavailable', 'The database did not answer in time.'))
    if (seat === undefined || target.kind === 'embedded') return
    abandon(seat)
    for (const place of places) if (place.seat?.held === 0 && place.seat.answeredAt < startedAt) abandon(place.seat)
    for (const other of lines) advance(other)
  }

  function settle(task: Task, failure: AppError | undefined, value?: unknown): void {
    clearTimeout(task.timer)
    task.seat = undefined
    if (failure === undefined) {
      watch.answered()
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
    await Promise.all(places.map((place) => place.seat?.connection.end()))
  }

  return {
    run: (work, limit) => submit(others, work, false, limit === 'unlimited' ? undefined : operationLimit),
    read: (work) => submit(reads, work, true, operationLimit),
    kind: target.kind,
    state: () => ({
      connections: places.filter(({ seat }) => seat).length,
      waiting: lines.reduce((sum, { waiting }) => sum + waiting.length, 0),
      opened,
    }),
    close,
  }
}
