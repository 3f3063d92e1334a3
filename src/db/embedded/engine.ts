import type { Duplex } from 'node:stream'
import { AppError } from '../../error.ts'
import { type ProgressWatch, watchProgress } from './progress.ts'
import { type SessionQueue, sessionQueue } from './sessionQueue.ts'
import { type DiskState, diskField, newDiskState } from './syncedFiles.ts'
import type { FromWorker, ToWorker } from './worker.ts'

export interface EmbeddedDatabase {
  /**
   * Returns a stream for postgres.js's `socket` option. One at a time has the engine, others wait:
   * use `max: 1`.
   */
  socket: () => Duplex
  /** Closes connections, writes a checkpoint and frees everything. Never rejects. */
  close(): Promise<void>
}

export interface EmbeddedEvents {
  /**
   * The engine stopped unexpectedly. Acknowledged changes are kept; only a new process can go on.
   * Called at most once.
   */
  onFailure(reason: string): void
  /** The disk does not respond. Until it does, every connection is refused. */
  onStall?(): void
  onResume?(): void
}

type Phase = 'opening' | 'open' | 'closing' | 'stopped'

interface Engine {
  readonly worker: Worker
  readonly sessions: SessionQueue
  readonly disk: DiskState
  readonly progress: ProgressWatch
  readonly events: EmbeddedEvents
  readonly opened: PromiseWithResolvers<void>
  readonly closed: PromiseWithResolvers<void>
  phase: Phase
  watchdog: ReturnType<typeof setInterval> | undefined
  /** Messages without a response yet. */
  pending: number
  /** Requests to end a session. */
  ends: number
  isStalled: boolean
}

/**
 * Opens the embedded PostgreSQL on `directory`, which is created if absent. The caller keeps other
 * processes out. Waits for a disk that does not respond. Rejects with `refused` and one line for
 * the operator.
 */
export async function openEmbedded(directory: string, events: EmbeddedEvents): Promise<EmbeddedDatabase> {
  const disk = newDiskState()
  const engine: Engine = {
    worker: new Worker(workerUrl()),
    sessions: sessionQueue((message) => post(engine, message)),
    disk,
    progress: watchProgress(disk),
    events,
    opened: Promise.withResolvers(),
    closed: Promise.withResolvers(),
    phase: 'opening',
    watchdog: undefined,
    pending: 0,
    ends: 0,
    isStalled: false,
  }
  engine.watchdog = setInterval(() => checkProgress(engine), tickMilliseconds)
  listen(engine)
  post(engine, { open: directory, disk })
  await engine.opened.promise
  engine.phase = 'open'
  return { socket: engine.sessions.socket, close: () => close(engine) }
}

function listen(engine: Engine): void {
  const { worker } = engine
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (engine.phase !== 'stopped') receive(engine, data)
  }
  worker.onerror = (event) => {
    event.preventDefault()
    fail(engine, 'the embedded database stopped unexpectedly')
  }
  worker.addEventListener('close', () => fail(engine, 'the embedded database stopped unexpectedly'))
}

function receive(engine: Engine, message: FromWorker): void {
  const { sessions, opened, closed } = engine
  engine.progress.reset()
  if (message instanceof Uint8Array) {
    engine.pending--
    if (message.length > 0) sessions.receive(message)
  } else if (typeof message !== 'string') {
    if ('part' in message) sessions.receive(message.part)
    else fail(engine, message.failed)
  } else {
    engine.pending--
    if (message === 'ended') sessions.ended()
    else if (message === 'opened') opened.resolve()
    else closed.resolve()
  }
}

function post(engine: Engine, message: ToWorker): void {
  if (engine.phase === 'stopped') return
  if (engine.pending++ === 0) engine.progress.reset()
  if (message === 'end') engine.ends++
  engine.worker.postMessage(message, message instanceof Uint8Array ? [message.buffer] : [])
}

const tickMilliseconds = 1000
/**
 * Seconds that a response may take in each phase without disk activity. Opening after a crash
 * replays the WAL.
 */
const responseLimit = { opening: 120, open: 15, closing: 10 }
/** Seconds that one system call may take before the disk counts as stalled. */
const diskLimit = 3
/** Seconds that a response may take with disk activity: a checkpoint, a VACUUM. */
const maxResponse = 120

/**
 * Runs every second. Counts ticks, not time: time also passes while the process is suspended.
 */
function checkProgress(engine: Engine): void {
  const { phase } = engine
  if (phase === 'stopped' || (engine.pending === 0 && !engine.isStalled)) return
  const { isWaiting, ticks, idleTicks } = engine.progress.tick()
  // A thread inside a system call cannot be ended, nor can its process. Wait for the disk to come
  // back.
  if (isWaiting && phase !== 'closing') {
    if (ticks >= diskLimit) stall(engine)
    return
  }
  resume(engine)
  const limit = idleTicks >= responseLimit[phase] ? responseLimit[phase] : maxResponse
  if (ticks >= limit) fail(engine, `the embedded database did not respond for ${limit} seconds`)
}

function stall(engine: Engine): void {
  if (engine.isStalled) return
  engine.isStalled = true
  engine.sessions.stop('the disk does not respond')
  // Clients got an error for their operations, so none of them may take effect later.
  Atomics.store(engine.disk, diskField.requiredEnds, engine.ends)
  engine.events.onStall?.()
}

function resume(engine: Engine): void {
  if (!engine.isStalled || engine.phase === 'closing') return
  engine.isStalled = false
  engine.sessions.resume()
  engine.events.onResume?.()
}

function fail(engine: Engine, reason: string): void {
  const { phase } = engine
  if (phase === 'stopped') return
  stop(engine, reason)
  engine.closed.resolve()
  if (phase === 'opening') engine.opened.reject(new AppError('refused', capitalized(reason)))
  else if (phase === 'open') engine.events.onFailure(capitalized(reason))
}

async function close(engine: Engine): Promise<void> {
  if (engine.phase === 'open') {
    engine.sessions.stop('the embedded database is closed')
    engine.phase = 'closing'
    post(engine, 'close')
  }
  await engine.closed.promise
  if (engine.phase !== 'stopped') stop(engine, 'the embedded database is closed')
}

function stop(engine: Engine, reason: string): void {
  engine.phase = 'stopped'
  clearInterval(engine.watchdog)
  engine.sessions.stop(reason)
  engine.worker.terminate()
}

/**
 * The bundler names the worker's file in the executable, where `import.meta.url` may be the path of
 * the source.
 */
function workerUrl(): URL {
  return Bun.isStandaloneExecutable
    ? new URL('./db/embedded/worker.js', Bun.pathToFileURL(Bun.main))
    : new URL('./worker.ts', import.meta.url)
}

function capitalized(line: string): string {
  return `${line.charAt(0).toUpperCase()}${line.slice(1)}.`
}
