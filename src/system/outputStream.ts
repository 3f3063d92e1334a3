import { write as writeToDescriptor } from 'node:fs'

/** Writes text to a file descriptor without blocking the event loop. */
export interface OutputStream {
  write(text: string): void
  /**
   * Returns about how many bytes are not written yet. Text not yet encoded counts its UTF-16 units.
   */
  buffered(): number
  /**
   * Resolves once everything is written, the reader is gone, the disk is full, or `limit`
   * milliseconds have passed. Returns the system's error code if text was lost, such as ENOSPC.
   */
  end(limit?: number): Promise<string | undefined>
}

/**
 * Milliseconds before a failed write is retried: the pipe is full (EAGAIN), or the disk is (ENOSPC,
 * until `end`).
 */
const retryDelay = 20

/**
 * The text of one turn of the event loop goes out in one system call, on a thread of Bun's, so that
 * a reader that is stuck blocks nothing. Calls are at least `interval` milliseconds apart. Text for
 * a reader that is gone is dropped. Calls `onDrained` whenever everything is written.
 */
export function openOutputStream(
  descriptor: number,
  onDrained: () => void = () => {},
  interval: number = 0,
): OutputStream {
  let waiting = ''
  let sending: Buffer = Buffer.alloc(0)
  let isBusy = false
  let isGone = false
  let errorCode: string | undefined
  let isEnding = false
  let ended = () => {}
  let sentAt = Number.NEGATIVE_INFINITY
  let pause: ReturnType<typeof setTimeout> | undefined

  function write(text: string): void {
    if (isGone) return
    waiting += text
    if (isBusy) return
    isBusy = true
    schedule()
  }

  function schedule(): void {
    const delay = interval === 0 || isEnding ? 0 : sentAt + interval - performance.now()
    if (delay > 0) pause = setTimeout(sendWaiting, delay)
    else setImmediate(sendWaiting)
  }

  function sendWaiting(): void {
    pause = undefined
    if (interval > 0) sentAt = performance.now()
    sending = Buffer.from(waiting)
    waiting = ''
    send()
  }

  function send(): void {
    writeToDescriptor(descriptor, sending, (error, written = 0) => {
      if (error) return isRetryable(error, isEnding) ? void setTimeout(send, retryDelay) : drop(error)
      sending = sending.subarray(written)
      if (sending.length > 0) send()
      else if (waiting === '') rest()
      else schedule()
    })
  }

  function drop({ code }: NodeJS.ErrnoException): void {
    isGone = true
    errorCode = code
    waiting = ''
    sending = Buffer.alloc(0)
    rest()
  }

  function rest(): void {
    isBusy = false
    onDrained()
    if (!isBusy) ended()
  }

  async function end(limit?: number): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = limit === undefined ? undefined : setTimeout(resolve, limit)
    ended = resolve
    isEnding = true
    if (pause) {
      clearTimeout(pause)
      sendWaiting()
    }
    if (!isBusy) resolve()
    await promise
    clearTimeout(timer)
    return errorCode
  }

  return { write, buffered: () => waiting.length + sending.length, end }
}

function isRetryable({ code }: NodeJS.ErrnoException, isEnding: boolean): boolean {
  return code === 'EAGAIN' || (code === 'ENOSPC' && !isEnding)
}
