import { ptr } from 'bun:ffi'
import { openCLibrary } from './cLibrary.ts'

/** <poll.h>, on Linux and macOS alike. */
const failed = 0x0008

/**
 * Returns a function that tells whether the reader of a pipe, such as `head`, is gone. A writer
 * that waits for something to write would not notice.
 */
export function watchReader(descriptor: number): () => boolean {
  const library = openCLibrary({ poll: { args: ['ptr', 'u64', 'i32'], returns: 'i32' } })
  if (!library) return () => false
  return () => {
    // struct pollfd: int fd, short events, short revents.
    const entry = Int16Array.of(descriptor, 0, 0, 0)
    library.poll(ptr(entry), 1, 0)
    return ((entry[3] ?? 0) & failed) !== 0
  }
}
