// The thread of the embedded PostgreSQL: unpacking, compiling and every query run here, so that
// none of them blocks the server, and so that an engine that hangs can be ended from outside.
import { PGlite } from '@electric-sql/pglite'
import dataFile from '../../../dist/embedded/pglite.data.zst' with { type: 'file' }
import wasmFile from '../../../dist/embedded/pglite.wasm.zst' with { type: 'file' }
import { prepareDirectory } from './cluster.ts'
import { type DiskState, diskField, hostFiles } from './syncedFiles.ts'
import { type FrontendStream, frontendStream, simpleQuery, sync } from './wire.ts'

/** Bytes of the current session; `end` ends it. Every message gets one response, in order. */
export type ToWorker = { open: string; disk: DiskState } | Uint8Array<ArrayBuffer> | 'end' | 'close'
/**
 * `part`: more of the response to the oldest request follows. A bare array is its last part.
 * `failed` may arrive at any time, even while the engine does not respond, and is the last message.
 */
export type FromWorker = 'opened' | 'ended' | 'closed' | { failed: string } | { part: Uint8Array } | Uint8Array

declare const self: Worker

const partBytes = 64 * 1024
const housekeepingMilliseconds = 20_000
const housekeepingRequests = 50_000
const vacuumEvery = 30
// The engine's default of 160 MB is for analytics. max_connections sizes tables for backends that
// cannot exist.
const engineSettings = [
  'shared_buffers=16MB',
  'max_connections=4',
  'jit=off',
  'min_wal_size=2MB',
  // The only sync method that reaches the host: fdatasync does nothing in WebAssembly.
  'wal_sync_method=fsync',
  'log_min_error_statement=panic',
]

/** PGlite's own, except the one that turns syncing off. */
const startParameters = PGlite.defaultStartParams.filter((parameter) => parameter !== '-F')

let engine: PGlite
let disk: DiskState
let stream: FrontendStream = frontendStream()
/**
 * After ReadyForQuery outside a transaction, until the next request: only then may this thread run
 * its own.
 */
let idle = true
let usedSince = 0
/** The number of sessions ended. */
let ends = 0
let rounds = 0
/** The engine's fatal error. It still accepts requests after one, but must not get any. */
let fatalReason: string | undefined

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  if (data instanceof Uint8Array) return serve(data)
  if (data === 'end') {
    endSession()
    ends++
    return post('ended')
  }
  if (data === 'close') {
    endSession()
    idle = false
    await engine.close()
    return post('closed')
  }
  disk = data.disk
  post(await open(data.open))
}

function post(message: FromWorker, transfer: ArrayBufferLike[] = []): void {
  self.postMessage(message, transfer as ArrayBuffer[])
}

async function open(directory: string): Promise<FromWorker> {
  const engineModule = unpack(wasmFile).then((bytes) => WebAssembly.compile(bytes))
  const { refusal, isSynced } = await prepareDirectory(directory)
  if (refusal !== undefined) return { failed: refusal }
  let isOpening = true
  try {
    engine = await PGlite.create({
      pgliteWasmModule: await engineModule,
      fsBundle: new Blob([await unpack(dataFile)]),
      fs: hostFiles(directory, {
        disk,
        isUntouched: () => isSynced && isOpening,
        onRefusal: (reason) =>
          post({ failed: `the database in ${directory} ${isOpening ? 'does not open' : 'stopped'} because ${reason}` }),
      }),
      onStderr: listen,
      startParams: [...startParameters, ...engineSettings.flatMap((setting) => ['-c', setting])],
    })
  } catch {
    return {
      failed: `the database in ${directory} does not open, it may be damaged. Restore a backup, or move the directory away to start over`,
    }
  }
  isOpening = false
  setInterval(maintain, housekeepingMilliseconds)
  return 'opened'
}

/** The engine's log. Only its end matters, and nothing is printed. */
function listen(line: string): boolean {
  const fatal = /(?:PANIC|FATAL): +(.*)/.exec(line)?.[1] ?? (line.startsWith('Aborted(') ? 'aborted' : undefined)
  if (fatal !== undefined) fatalReason ??= fatal
  return false
}

async function unpack(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return Bun.zstdDecompressSync(await Bun.file(path).bytes()) as Uint8Array<ArrayBuffer>
}

function serve(bytes: Uint8Array): void {
  usedSince++
  let parts: Uint8Array[] = []
  let size = 0
  let ready = false
  const respond = (bytes: Uint8Array): void => {
    // The engine reuses its memory as soon as this returns.
    parts.push(bytes.slice())
    size += bytes.length
    ready = bytes.at(-6) === 0x5a && bytes.at(-1) === 0x49
    if (size < partBytes) return
    const part = join(parts)
    post({ part }, [part.buffer])
    parts = []
    size = 0
  }
  if (ends < Atomics.load(disk, diskField.requiredEnds)) {
    post(new Uint8Array())
    return
  }
  const { whole, options } = stream.take(bytes)
  if (whole.length > 0) run(whole, respond)
  for (const query of options) run(query)
  idle = stream.empty() && ready
  if (fatalReason !== undefined) return
  const rest = join(parts)
  post(rest, [rest.buffer])
  if (usedSince >= housekeepingRequests) maintain()
}

function run(bytes: Uint8Array, respond: (bytes: Uint8Array) => void = () => {}): void {
  // Synchronous until the response is complete. A rejection is a bug in the engine and ends the
  // thread.
  if (fatalReason !== undefined) return
  void engine.execProtocolRawStream(bytes, { syncToFs: false, onRawData: respond })
  if (fatalReason !== undefined) post({ failed: `the embedded database stopped: ${fatalReason}` })
}

/** Leaves no transaction, prepared statement, setting or lock to the next session. */
function endSession(): void {
  stream = frontendStream()
  run(sync) // Ends the skipping after an error in a batch.
  if (engine.isInTransaction()) run(simpleQuery('ROLLBACK'))
  run(simpleQuery('DISCARD ALL'))
  idle = true
}

/**
 * A single-process PostgreSQL has no checkpointer and no autovacuum: without this, WAL and tables
 * grow forever.
 */
function maintain(): void {
  if (!idle || usedSince === 0) return
  usedSince = 0
  if (++rounds % vacuumEvery === 0) run(simpleQuery('VACUUM (ANALYZE)'))
  run(simpleQuery('CHECKPOINT'))
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBufferLike> {
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : new Uint8Array(Buffer.concat(parts))
}
