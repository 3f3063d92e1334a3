/** A line at the foot of the terminal; where standard error is none, nothing. */
export interface Progress {
  /** The same chunks, while the line tells how far they are. */
  counting(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  /** Takes the line away, so that something else can be printed. */
  clear(): void
}

const width = 30
/** Milliseconds between two showings. */
const pause = 100

export function showProgress(stderr: (text: string) => void, total: number | undefined): Progress {
  if (!process.stderr.isTTY) return { counting: (chunks) => chunks, clear: () => {} }
  let isShown = false
  let shownAt = 0

  const show = (bytes: number) => {
    if (Date.now() - shownAt < pause) return
    shownAt = Date.now()
    isShown = true
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
      shownAt = 0
      show(bytes)
    },
    clear: () => {
      if (isShown) stderr('\r\u001b[K')
      isShown = false
    },
  }
}

/** `[##########                    ]  33 %`, or how much has been read where the end is not known. */
export function progressLine(bytes: number, total: number | undefined): string {
  if (total === undefined || total === 0) return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
  const share = Math.min(1, bytes / total)
  const filled = '#'.repeat(Math.round(share * width))
  return `[${filled.padEnd(width)}] ${String(Math.floor(share * 100)).padStart(3)} %`
}
