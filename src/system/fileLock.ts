import { dlopen, ptr } from 'bun:ffi'
import { AppError } from '../error.ts'
import { cLibraries, openCLibrary } from './cLibrary.ts'

const exclusive = 2
const nonBlocking = 4

/**
 * Takes an exclusive lock on an open file without waiting. Returns false if another process has it.
 * The lock ends with the descriptor, so at the latest with the process. Neither Node nor Bun offers
 * one.
 */
export function lockFile(descriptor: number, path: string): boolean {
  return process.platform === 'win32' ? lockOnWindows(path) : lockOnUnix(descriptor)
}

/** flock(2). */
function lockOnUnix(descriptor: number): boolean {
  const library = openCLibrary({ flock: { args: ['i32', 'i32'], returns: 'i32' } })
  if (library) return library.flock(descriptor, exclusive | nonBlocking) === 0
  throw new AppError(
    'refused',
    `DATA_DIR cannot be locked. No C library with flock found among ${cLibraries.join(', ')}.`,
  )
}

const genericWrite = 0x40000000
const shareRead = 1
const openAlways = 4

/** CreateFileW without FILE_SHARE_WRITE: another open for writing fails until this process ends. */
function lockOnWindows(path: string): boolean {
  const { symbols } = dlopen('kernel32.dll', {
    CreateFileW: { args: ['ptr', 'u32', 'u32', 'ptr', 'u32', 'u32', 'ptr'], returns: 'i64' },
  })
  const name = Buffer.from(`${path}.held\0`, 'utf16le')
  return symbols.CreateFileW(ptr(name), genericWrite, shareRead, null, openAlways, 0, null) !== -1n
}
