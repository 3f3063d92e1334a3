/** Seconds, far more than a condition takes on a slow machine. */
const patience = 60

/** Polls until the condition holds. Throws after a minute. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + patience * 1000; !(await isTrue()); await Bun.sleep(10))
    if (performance.now() > end) throw new Error(`not within ${patience} seconds: ${isTrue}`)
}
