import { writeSync } from 'node:fs'

/** A progress line on the terminal. Does nothing if stderr is not a terminal. */
export interface Progress {
  /** Yields the same chunks and updates the line. */
  counting(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  /** Clears the line, so that something else can be printed. */
  clear(): void
}

const width = 30
/** Milliseconds between two updates. */
const interval = 100

export function showProgress(total: number | undefined): Progress {
  if (!process.stderr.isTTY) return { counting: (chunks) => chunks, clear: () => {} }
  const { show, clear } = showLine()
  return {
    counting: async function* (chunks) {
      let bytes = 0
      for await (const chunk of chunks) {
        yield chunk
        bytes += chunk.length
        show(progressLine(bytes, total))
      }
      show(progressLine(bytes, total), 'at once')
    },
    clear,
  }
}

/** A line on the terminal that is replaced. Does nothing if stderr is not a terminal. */
export function showLine() {
  let isVisible = false
  let updatedAt = 0
  return {
    /** Skips updates that follow each other too fast to be read. */
    show: (line: string, when?: 'at once'): void => {
      if (!process.stderr.isTTY || (when === undefined && Date.now() - updatedAt < interval)) return
      updatedAt = Date.now()
      isVisible = true
      write(`\r\u001b[K${line}`)
    },
    clear: (): void => {
      if (isVisible) write('\r\u001b[K')
      isVisible = false
    },
  }
}

/** Not buffered: what is printed next may go to stdout, and must follow. */
function write(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // The terminal is gone or does not take it.
  }
}

/** Returns `[##########                    ]  33 %`, or the amount read if the size is unknown. */
export function progressLine(bytes: number, total: number | undefined): string {
  return total === undefined || total === 0 ? `${(bytes / 1024 / 1024).toFixed(1)} MiB` : progressBar(bytes / total)
}

/** Returns `[##########                    ]  33 %`. */
export function progressBar(share: number): string {
  const shown = Math.min(1, share)
  const filled = '#'.repeat(Math.round(shown * width))
  return `[${filled.padEnd(width)}] ${String(Math.floor(shown * 100)).padStart(3)} %`
}
