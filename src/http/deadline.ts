/** Hands on what `work` answers, which never throws, or what `late` does where that is not there in time. */
export type Deadline<Answer> = (work: Promise<Answer>, late: () => Answer) => Promise<Answer>

interface Waiting {
  readonly since: number
  readonly expire: () => void
}

/**
 * A bound of some milliseconds, and up to a tenth more: one timer looks over all that is under way, since one for each would cost
 * more than many a request does. What came too late is dropped.
 */
export function createDeadline<Answer>(milliseconds: number): Deadline<Answer> {
  // In the order in which they came.
  const underWay = new Set<Waiting>()
  let timer: Timer | undefined

  const sweep = () => {
    const now = performance.now()
    for (const waiting of underWay) {
      if (now - waiting.since < milliseconds) return
      underWay.delete(waiting)
      waiting.expire()
    }
    clearInterval(timer)
    timer = undefined
  }

  return (work, late) => {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const waiting = { since: performance.now(), expire: () => resolve(late()) }
    underWay.add(waiting)
    timer ??= setInterval(sweep, milliseconds / 10).unref()
    work.then((answer) => {
      underWay.delete(waiting)
      resolve(answer)
    })
    return promise
  }
}
