import { fstatSync, writeSync } from 'node:fs'
import { openCLibrary } from './cLibrary.ts'

/** Takes what it can of these bytes without waiting, and answers how many that were: 0 while the reader is slow. */
export type Outlet = (bytes: Uint8Array) => number

/** What is ready for writing takes as much as this at once: PIPE_BUF of Linux, and of the others. */
const portion = process.platform === 'linux' ? 4096 : 512
const pollOut = 4

/**
 * Standard output or error as an outlet. A write to a pipe that nobody empties would stop the whole process, so it is asked
 * first (poll(2)). A reader that has gone away is no reason to fail: its bytes count as taken.
 */
export function outletTo(descriptor: number): Outlet {
  let isReady: (() => boolean) | undefined
  return (bytes) => {
    isReady ??= readinessOf(descriptor)
    let taken = 0
    try {
      while (taken < bytes.length && isReady()) {
        taken += writeSync(descriptor, bytes, taken, Math.min(portion, bytes.length - taken))
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return bytes.length
    }
    return taken
  }
}

/** Writes all of it, waiting for a slow reader; gives up after `patience` milliseconds in which it took nothing. */
export function writeAll(outlet: Outlet, bytes: Uint8Array, patience: number): void {
  let rest = bytes
  for (let waited = 0; rest.length > 0 && waited <= patience; ) {
    const taken = outlet(rest)
    rest = rest.subarray(taken)
    if (taken > 0) waited = 0
    else {
      Bun.sleepSync(1)
      waited++
    }
  }
}

/** Whether a write would be taken at once. A file takes all, and so does what this system cannot be asked about. */
function readinessOf(descriptor: number): () => boolean {
  if (process.platform === 'win32' || isFile(descriptor)) return () => true
  const library = openCLibrary({ poll: { args: ['ptr', 'u32', 'i32'], returns: 'i32' } })
  if (!library) return () => true
  // struct pollfd { int fd; short events; short revents; }
  const asked = new Int32Array([descriptor, pollOut])
  return () => library.poll(asked, 1, 0) > 0
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile()
  } catch {
    return false
  }
}
