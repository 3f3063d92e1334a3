/** Milliseconds between two ticks, and the longest gap that the machine did not cause. */
const [interval, longestGap] = [10, 60]

/**
 * Returns a clock in milliseconds for limits that the product promises. It stands still while the
 * machine does not run this process at all.
 */
export function startMachineClock(): { now(): number; stop(): void } {
  let last = performance.now()
  let paused = 0
  const advance = () => {
    const now = performance.now()
    paused += Math.max(0, now - last - longestGap)
    last = now
    return now - paused
  }
  const timer = setInterval(advance, interval)
  timer.unref()
  return { now: advance, stop: () => clearInterval(timer) }
}
