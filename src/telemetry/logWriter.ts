import { type Outlet, writeAll } from '../system/outlet.ts'

export interface LogWriter {
  write(line: string): void
  /** For the last moment before exit: waits for a slow reader, but not for ever. */
  flush(): void
}

/** Bytes that wait for a slow reader before lines are dropped. */
const bound = 1_048_576
/** Milliseconds after which a slow reader is asked again, and that it may take nothing when the process ends. */
const patience = { again: 20, atTheEnd: 1000 }

/**
 * Writes the lines of a server's log without ever stopping the server. Those of one turn of the event loop go out
 * together, since a system call per request would cost more than the request. While the reader takes nothing they wait, up
 * to a bound; what does not fit is dropped, whole lines at a time: `countDropped` is called at once, and `sayDropped` when it
 * flows again.
 */
export function logWriter(
  outlet: Outlet,
  sayDropped: (lines: number) => void,
  countDropped: (lines: number) => void = () => {},
): LogWriter {
  let waiting = ''
  let rest: Uint8Array = new Uint8Array()
  let isScheduled = false
  let dropped = 0

  function write(line: string): void {
    if (rest.length + waiting.length + line.length > bound) {
      dropped++
      countDropped(1)
      return
    }
    waiting += line
    if (isScheduled) return
    isScheduled = true
    setImmediate(drain)
  }

  function drain(): void {
    if (rest.length === 0) takeWaiting()
    rest = rest.subarray(outlet(rest))
    isScheduled = rest.length > 0 || waiting !== ''
    if (isScheduled) setTimeout(drain, rest.length > 0 ? patience.again : 0)
    else confess()
  }

  function takeWaiting(): void {
    rest = Buffer.concat([rest, Buffer.from(waiting)])
    waiting = ''
  }

  function confess(): void {
    const lines = dropped
    dropped = 0
    if (lines > 0) sayDropped(lines)
  }

  function flush(): void {
    confess()
    takeWaiting()
    writeAll(outlet, rest, patience.atTheEnd)
    rest = new Uint8Array()
  }

  return { write, flush }
}
