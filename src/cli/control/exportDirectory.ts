import { createReadStream, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ExportFiles } from '../../domain/exportedLog/exportFiles.ts'
import { AppError } from '../../error.ts'

/** A bundle of 256 leaves of the largest size has less. */
const largestFile = 20_000_000
const chunkBytes = 256 * 1024

/** Opens an export of the audit log. Throws `refused` if it is no directory. */
export function openExport(directory: string): ExportFiles {
  if (!statusOf(directory)?.isDirectory())
    throw new AppError('refused', `The directory ${JSON.stringify(directory)} does not exist.`)
  return {
    read: (path) => {
      const file = join(directory, path)
      const status = requireFile(file)
      if (!status) return undefined
      // Such a file is malformed, as an empty one is.
      return status.size > largestFile ? Buffer.alloc(0) : attempt(file, () => readFileSync(file))
    },
    stream: (path) => {
      const file = join(directory, path)
      return requireFile(file) && streamFile(file)
    },
  }
}

/** Yields the content of a file. Throws `refused` if it cannot be read. */
export async function* streamFile(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file, { highWaterMark: chunkBytes })
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** Returns undefined if there is no such file. A pipe would block. */
function requireFile(file: string) {
  const status = statusOf(file)
  if (status && !status.isFile()) throw new AppError('refused', `${JSON.stringify(file)} is not a regular file.`)
  return status
}

function statusOf(path: string) {
  return attempt(path, () => {
    try {
      return statSync(path, { throwIfNoEntry: false })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
      throw error
    }
  })
}

function attempt<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable(file: string, error: unknown): AppError {
  const { code } = error as NodeJS.ErrnoException
  return new AppError('refused', `The file ${JSON.stringify(file)} cannot be read (${code}).`)
}
