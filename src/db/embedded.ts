import type { Duplex } from 'node:stream'
import { AppError } from '../error.ts'
import { sessionQueue } from './embeddedSocket.ts'
import type { FromWorker, ToWorker } from './embeddedWorker.ts'

export interface EmbeddedDatabase {
  /** A connection for postgres.js's `socket` option. One at a time has the engine, the next one waits: use `max: 1`. */
  socket: () => Duplex
  /** Closes connections, writes a checkpoint, frees everything. Never rejects. */
  close(): Promise<void>
}

const tickMilliseconds = 1000
/** Seconds that an answer may take in each phase. Opening after a crash replays the log; a full disk can make a query spin. */
const patience = { opening: 120, open: 15, closing: 10 }

/**
 * Opens the PostgreSQL that the program carries, on `directory`, which is made if absent; the caller keeps other
 * processes out. Rejects with `refused`, one line for the operator. `onFailure` is called at most once, when the engine stops
 * without being asked to: what it acknowledged is kept, and the way on is a new process.
 */
export async function openEmbedded(directory: string, onFailure: (reason: string) => void): Promise<EmbeddedDatabase> {
  const worker = new Worker(workerUrl())
  const sessions = sessionQueue(post)
  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  let phase: keyof typeof patience | 'stopped' = 'opening'
  let owed = 0
  let silent = 0

  // Ticks are counted, not time: a process that was suspended must not blame the thread.
  const watchdog = setInterval(() => {
    if (phase === 'stopped' || owed === 0 || ++silent < patience[phase]) return
    fail(`the embedded database did not answer for ${patience[phase]} seconds`)
  }, tickMilliseconds)

  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    silent = 0
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
    if (owed++ === 0) silent = 0
    worker.postMessage(message, message instanceof Uint8Array ? [message.buffer] : [])
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
    else if (before === 'open') onFailure(capitalized(reason))
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

  post({ open: directory })
  await opened.promise
  phase = 'open'
  return { socket: sessions.socket, close }
}

/** In the executable the bundler has named the thread's file, and `import.meta.url` may be the path of the source. */
function workerUrl(): URL {
  return Bun.isStandaloneExecutable
    ? new URL('./db/embeddedWorker.js', Bun.pathToFileURL(Bun.main))
    : new URL('./embeddedWorker.ts', import.meta.url)
}

function capitalized(line: string): string {
  return `${line.charAt(0).toUpperCase()}${line.slice(1)}.`
}
