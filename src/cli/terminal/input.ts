import { createReadStream, fstatSync, openSync, readFileSync } from 'node:fs'
import { AppError } from '../../error.ts'

/** A file that is read from its beginning to its end, once. */
export interface Input {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Bytes; undefined where that is not known. */
  readonly size: number | undefined
}

const chunkBytes = 256 * 1024
const largestSmallFile = 64 * 1024

/** Opens a file, or standard input for `-`. Throws `refused` where it cannot be read, `usage` where nobody pipes anything in. */
export function openInput(path: string): Input {
  if (path === '-') {
    if (process.stdin.isTTY) throw new AppError('usage', 'Standard input is a terminal: pipe the file in, or name it.')
    return { chunks: Bun.stdin.stream(), size: undefined }
  }
  const descriptor = opened(path)
  const status = fstatSync(descriptor)
  if (status.isDirectory()) throw new AppError('refused', `${JSON.stringify(path)} is a directory.`)
  const chunks = createReadStream(path, { fd: descriptor, highWaterMark: chunkBytes })
  return { chunks, size: status.isFile() ? status.size : undefined }
}

/** The text of a file of settings. */
export function readSmallFile(path: string): string {
  const descriptor = opened(path)
  if (!fstatSync(descriptor).isFile() || fstatSync(descriptor).size > largestSmallFile)
    throw new AppError('refused', `${JSON.stringify(path)} is no file of at most ${largestSmallFile} bytes.`)
  return readFileSync(descriptor, 'utf8')
}

function opened(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'is not there' : `cannot be read (${code})`
    throw new AppError('refused', `The file ${JSON.stringify(path)} ${reason}.`)
  }
}

/** The same, until the process is told to end: then reading fails, and what depends on it is undone. A second signal ends it at once. */
export async function* interruptible(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const refusal = new AppError('refused', 'Interrupted: nothing went in.')
  let isInterrupted = false
  let reject: (error: AppError) => void = () => {}
  const interrupt = () => {
    isInterrupted = true
    reject(refusal)
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, interrupt)
  const iterator = chunks[Symbol.asyncIterator]()
  try {
    for (;;) {
      // One for each chunk: a promise that outlives them all would hold on to every one that it raced with.
      const interrupted = Promise.withResolvers<never>()
      reject = interrupted.reject
      if (isInterrupted) throw refusal
      const { value, done } = await Promise.race([iterator.next(), interrupted.promise])
      if (done) return
      yield value
    }
  } finally {
    for (const signal of signals) process.off(signal, interrupt)
  }
}
