import type { Clock } from '../clock.ts'

export interface UseRecording {
  /** Milliseconds between two recorded uses of one credential. */
  readonly interval: number
  /** Records a use at `now` of those whose recorded use is before `early`, or after `late`. */
  readonly record: (ids: readonly string[], now: Date, limits: UseLimits) => Promise<void>
  /** Reports a failure. The next use is recorded again. */
  readonly failed: (count: number, error: unknown) => void
}

export interface UseLimits {
  readonly early: Date
  readonly late: Date
}

/**
 * Milliseconds by which no replica's clock is ahead of another. A later use was recorded by a wrong
 * clock.
 */
const maximumClockSkew = 3_600_000
/** Credentials in one statement. */
const maximumBatch = 1000
/** Credentials whose latest use is remembered. When full, the memory is cleared. */
const maximumRemembered = 10_000

/**
 * Returns a function that records the use of a credential in the background, given the recorded one
 * in epoch milliseconds. One statement runs at a time, which leaves the connections to requests.
 */
export function createUseRecorder(clock: Clock, { interval, record, failed }: UseRecording) {
  const recordedAt = new Map<string, number>()
  const pending = new Set<string>()
  let isRecording = false

  const recordPending = async () => {
    isRecording = true
    while (pending.size > 0) {
      const ids = [...pending].slice(0, maximumBatch)
      for (const id of ids) pending.delete(id)
      const now = clock()
      const limits = { early: new Date(now - interval), late: new Date(now + maximumClockSkew) }
      await record(ids, new Date(now), limits).catch((error: unknown) => {
        for (const id of ids) recordedAt.delete(id)
        failed(ids.length, error)
      })
    }
    isRecording = false
  }

  return (id: string, lastUsedAt = 0): void => {
    const now = clock()
    const isRecent = (time: number) => time > now - interval && time < now + maximumClockSkew
    if (isRecent(lastUsedAt) || isRecent(recordedAt.get(id) ?? 0)) return
    if (recordedAt.size >= maximumRemembered) recordedAt.clear()
    recordedAt.set(id, now)
    pending.add(id)
    if (!isRecording) void recordPending()
  }
}
