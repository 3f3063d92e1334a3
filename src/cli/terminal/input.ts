import { createReadStream, fstatSync, openSync, readFileSync } from 'node:fs'
import { AppError } from '../../error.ts'

/** A file to be read once, from start to end. */
export interface Input {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Bytes. Undefined if unknown. */
  readonly size: number | undefined
}

const chunkBytes = 256 * 1024
const largestSmallFile = 64 * 1024

/**
 * Opens a file, or stdin for `-`. Throws `refused` if it cannot be read, `usage` if stdin is a
 * terminal.
 */
export function openInput(path: string): Input {
  if (path === '-') {
    if (process.stdin.isTTY)
      throw new AppError('usage', 'Standard input is a terminal. Pipe the file to it, or pass a file name.')
    return { chunks: Bun.stdin.stream(), size: undefined }
  }
  const descriptor = openFile(path)
  const status = fstatSync(descriptor)
  if (status.isDirectory()) throw new AppError('refused', `${JSON.stringify(path)} is a directory.`)
  const chunks = createReadStream(path, { fd: descriptor, highWaterMark: chunkBytes })
  return { chunks, size: status.isFile() ? status.size : undefined }
}

/** Returns the text of a small file. Throws `refused` if it is too large. */
export function readSmallFile(path: string): string {
  const descriptor = openFile(path)
  if (!fstatSync(descriptor).isFile() || fstatSync(descriptor).size > largestSmallFile)
    throw new AppError('refused', `${JSON.stringify(path)} must be a file of at most ${largestSmallFile} bytes.`)
  return readFileSync(descriptor, 'utf8')
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    throw new AppError('refused', `The file ${JSON.stringify(path)} ${reason}.`)
  }
}

/**
 * Yields the chunks until a signal. Then reading fails, so that the import is rolled back. A second
 * signal ends the process.
 */
export async function* failOnSignal(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const interruption = new AppError('refused', 'Interrupted. Nothing was imported.')
  let isInterrupted = false
  let reject: (error: AppError) => void = () => {}
  const interrupt = () => {
    isInterrupted = true
    reject(interruption)
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.once(signal, interrupt)
  const iterator = chunks[Symbol.asyncIterator]()
  try {
    for (;;) {
      // One per chunk: a promise that outlives them would retain every promise it raced with.
      const interrupted = Promise.withResolvers<never>()
      reject = interrupted.reject
      if (isInterrupted) throw interruption
      const { value, done } = await Promise.race([iterator.next(), interrupted.promise])
      if (done) return
      yield value
    }
  } finally {
    for (const signal of signals) process.off(signal, interrupt)
  }
}
