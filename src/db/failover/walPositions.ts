/** WAL positions of the server, read after acknowledged changes. */
export interface WalPositions {
  /** Called after each change. Schedules a reading. */
  changed(): void
  readWith(read: () => Promise<string>): void
  latest(): string | undefined
  /**
   * Returns a time of the monotonic clock: changes before it are up to the position. Undefined if
   * it is unknown for all of them.
   */
  latestBefore(position: string): number | undefined
  /** Forgets the positions, which are of another timeline. */
  clear(): void
  /** Stops reading. */
  stop(): void
}

/** Milliseconds between two readings, at least. */
const interval = 200
/** A minute of changes. */
const maxKept = 300

export function createWalPositions(now: () => number): WalPositions {
  const kept: { readonly at: number; readonly position: string }[] = []
  let read: (() => Promise<string>) | undefined
  let isDue = false
  let timer: ReturnType<typeof setTimeout> | undefined

  async function take(): Promise<void> {
    isDue = false
    const at = now()
    try {
      const position = await read?.()
      if (position === undefined) return
      kept.push({ at, position })
      if (kept.length > maxKept) kept.shift()
    } catch {
      // It is read again after the next change.
    }
  }

  return {
    changed: () => {
      if (isDue || read === undefined) return
      isDue = true
      // Does not keep the process alive.
      timer = setTimeout(take, interval).unref()
    },
    readWith: (reading) => {
      read = reading
    },
    latest: () => kept.at(-1)?.position,
    clear: () => {
      kept.length = 0
    },
    stop: () => {
      clearTimeout(timer)
      read = undefined
    },
    latestBefore: (position) => kept.findLast((one) => !isBefore(position, one.position))?.at,
  }
}

/** Compares two values of the type pg_lsn. */
export function isBefore(one: string, other: string): boolean {
  return numberOf(one) < numberOf(other)
}

function numberOf(position: string): bigint {
  const [high = '0', low = '0'] = position.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
