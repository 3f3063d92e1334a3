import { openOutputStream } from '../system/outputStream.ts'

export interface LogWriter {
  /** Takes one whole line, newline included. Never blocks. */
  write(line: string): void
  /** Resolves once everything is written, or after a second with a reader that is stuck. */
  end(): Promise<void>
}

export interface LogWriterEvents {
  /** Called once the log flows again, with the number of lines that were dropped. */
  reportDropped(lines: number): void
  /** Called for each dropped line at once. */
  countDropped(lines: number): void
}

/** Bytes that wait for a slow reader before lines are dropped. */
const maxBuffered = 1_048_576
/** Milliseconds. Under load, lines share a system call. */
const writeInterval = 5
/** Milliseconds that a stuck reader may delay the exit. */
const endLimit = 1000

/**
 * Writes the lines of a server's log to a file descriptor without blocking the server. While the
 * reader is slow, lines wait; those that do not fit are dropped whole.
 */
export function createLogWriter(descriptor: number, { reportDropped, countDropped }: LogWriterEvents): LogWriter {
  const stream = openOutputStream(descriptor, reportAll, writeInterval)
  let dropped = 0

  function reportAll(): void {
    const lines = dropped
    dropped = 0
    if (lines > 0) reportDropped(lines)
  }

  return {
    write: (line) => {
      if (stream.buffered() + line.length <= maxBuffered) return stream.write(line)
      dropped++
      countDropped(1)
    },
    end: async () => {
      reportAll()
      await stream.end(endLimit)
    },
  }
}
