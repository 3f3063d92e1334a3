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

export function showProgress(stderr: (text: string) => void, total: number | undefined): Progress {
  if (!process.stderr.isTTY) return { counting: (chunks) => chunks, clear: () => {} }
  let isVisible = false
  let updatedAt = 0

  const show = (bytes: number) => {
    if (Date.now() - updatedAt < interval) return
    updatedAt = Date.now()
    isVisible = true
    stderr(`\r\u001b[K${progressLine(bytes, total)}`)
  }
  return {
    counting: async function* (chunks) {
      let bytes = 0
      for await (const chunk of chunks) {
        yield chunk
        bytes += chunk.length
        show(bytes)
      }
      updatedAt = 0
      show(bytes)
    },
    clear: () => {
      if (isVisible) stderr('\r\u001b[K')
      isVisible = false
    },
  }
}

/** Returns `[##########                    ]  33 %`, or the amount read if the size is unknown. */
export function progressLine(bytes: number, total: number | undefined): string {
  if (total === undefined || total === 0) return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
  const share = Math.min(1, bytes / total)
  const filled = '#'.repeat(Math.round(share * width))
  return `[${filled.padEnd(width)}] ${String(Math.floor(share * 100)).padStart(3)} %`
}
