import type { Duplex } from 'node:stream'
import { AppError } from '../../error.ts'
import { sessionQueue } from './sessionQueue.ts'
import { type DiskState, diskField, newDiskState } from './syncedFiles.ts'
import type { FromWorker, ToWorker } from './worker.ts'

export interface EmbeddedDatabase {
  /** A connection for postgres.js's `socket` option. One at a time has the engine, the next one waits: use `max: 1`. */
  socket: () => Duplex
  /** Closes connections, writes a checkpoint, frees everything. Never rejects. */
  close(): Promise<void>
}

export interface EmbeddedEvents {
  /** The engine has stopped without being asked to. What it acknowledged is kept, and the way on is a new process. At most once. */
  onFailure(reason: string): void
  /** The disk does not answer. Until it does, every connection is refused. */
  onStall?(): void
  onResume?(): void
}

const tickMilliseconds = 1000
/** Seconds that an answer may take in each phase while the disk has nothing to do with it. Opening after a crash replays the log. */
const patience = { opening: 120, open: 15, closing: 10 }
/** Seconds that one call to the operating system may take before the disk counts as stalled. */
const diskPatience = 3
/** Seconds that an answer may take though the disk gets on with it: a checkpoint, a VACUUM. */
const longestAnswer = 120

/**
 * Opens the PostgreSQL that the program carries, on `directory`, which is made if absent; the caller keeps other
 * processes out. Rejects with `refused`, one line for the operator. A disk that does not answer is waited for.
 */
export async function openEmbedded(directory: string, events: EmbeddedEvents): Promise<EmbeddedDatabase> {
  const worker = new Worker(workerUrl())
  const sessions = sessionQueue(post)
  const disk = newDiskState()
  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  let phase: keyof typeof patience | 'stopped' = 'opening'
  let owed = 0
  let ends = 0
  let isStalled = false
  const watch = newWatch(disk)

  // Ticks are counted, not time: a process that was suspended must not blame the thread.
  const watchdog = setInterval(() => {
    if (phase === 'stopped' || (owed === 0 && !isStalled)) return
    const seen = watch.tick()
    // A thread that waits for the disk cannot be ended, and neither can its process: better to be there when the disk is back.
    if (seen.isWaiting && phase !== 'closing') return seen.ticks >= diskPatience ? stall() : undefined
    resume()
    const limit = seen.idleTicks >= patience[phase] ? patience[phase] : longestAnswer
    if (seen.ticks >= limit) fail(`the embedded database did not answer for ${limit} seconds`)
  }, tickMilliseconds)

  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (phase === 'stopped') return
    watch.reset()
    if (data instanceof Uint8Array) {
      owed--
      if (data.length > 0) sessions.receive(data)
    } else if (typeof data !== 'string') {
      if ('part' in data) sessions.receive(data.part)
      else fail(data.failed)
    } else {
      owed--
      if (data === 'ended') sessions.ended()
      else if (data === 'opened') opened.resolve()
      else closed.resolve()
    }
  }
  worker.onerror = (event) => {
    event.preventDefault()
    fail('the embedded database stopped unexpectedly')
  }
  worker.addEventListener('close', () => fail('the embedded database stopped unexpectedly'))

  function post(message: ToWorker): void {
    if (phase === 'stopped') return
    if (owed++ === 0) watch.reset()
    if (message === 'end') ends++
    worker.postMessage(message, message instanceof Uint8Array ? [message.buffer] : [])
  }

  function stall(): void {
    if (isStalled) return
    isStalled = true
    sessions.stop('the disk does not answer')
    // Nobody waits for the answers any more: what has not begun by now must not happen when the disk is back.
    Atomics.store(disk, diskField.abandoned, ends)
    events.onStall?.()
  }

  function resume(): void {
    if (!isStalled || phase === 'closing') return
    isStalled = false
    sessions.resume()
    events.onResume?.()
  }

  function stop(reason: string): void {
    phase = 'stopped'
    clearInterval(watchdog)
    sessions.stop(reason)
    worker.terminate()
  }

  function fail(reason: string): void {
    const before = phase
    if (before === 'stopped') return
    stop(reason)
    closed.resolve()
    if (before === 'opening') opened.reject(new AppError('refused', capitalized(reason)))
    else if (before === 'open') events.onFailure(capitalized(reason))
  }

  async function close(): Promise<void> {
    if (phase === 'open') {
      sessions.stop('the embedded database is closed')
      phase = 'closing'
      post('close')
    }
    await closed.promise
    if (phase !== 'stopped') stop('the embedded database is closed')
  }

  post({ open: directory, disk })
  await opened.promise
  phase = 'open'
  return { socket: sessions.socket, close }
}

interface Seen {
  /** Whether the thread has been inside one and the same call to the operating system since the tick before. */
  readonly isWaiting: boolean
  /** Ticks since the last answer, or since this one wait for the disk began. */
  readonly ticks: number
  /** How many of them brought no progress on the disk, in a row. */
  readonly idleTicks: number
}

function newWatch(disk: DiskState) {
  let progress = 0
  let waiting = 0
  let ticks = 0
  let idleTicks = 0
  return {
    reset: () => {
      ticks = idleTicks = waiting = 0
    },
    tick: (): Seen => {
      const before = progress
      progress = Atomics.load(disk, diskField.progress)
      const isWaiting = progress === before && progress % 2 !== 0
      waiting = isWaiting ? waiting + 1 : 0
      ticks++
      idleTicks = progress === before ? idleTicks + 1 : 0
      return { isWaiting, ticks: isWaiting ? waiting : ticks, idleTicks }
    },
  }
}

/** In the executable the bundler has named the thread's file, and `import.meta.url` may be the path of the source. */
function workerUrl(): URL {
  return Bun.isStandaloneExecutable
    ? new URL('./db/embedded/worker.js', Bun.pathToFileURL(Bun.main))
    : new URL('./worker.ts', import.meta.url)
}

function capitalized(line: string): string {
  return `${line.charAt(0).toUpperCase()}${line.slice(1)}.`
}
