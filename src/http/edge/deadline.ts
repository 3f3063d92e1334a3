export interface Deadline<Subject, Answer> {
  /** Hands on what `work` answers, which never throws, or what `late` does where that is not there in time. */
  meet(work: Promise<Answer>, subject: Subject, late: () => Answer): Promise<Answer>
  /** The time is over now for each whose subject `isMeant`. */
  expire(isMeant: (subject: Subject) => boolean): void
}

interface Waiting<Subject> {
  readonly since: number
  readonly subject: Subject
  readonly expire: () => void
}

/**
 * A bound of some milliseconds, and up to a tenth more: one timer looks over all that is under way, since one for each would cost
 * more than many a request does. What came too late is dropped.
 */
export function createDeadline<Subject, Answer>(milliseconds: number): Deadline<Subject, Answer> {
  // In the order in which they came.
  const underWay = new Set<Waiting<Subject>>()
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

  return {
    meet(work, subject, late) {
      const { promise, resolve } = Promise.withResolvers<Answer>()
      const waiting = { since: performance.now(), subject, expire: () => resolve(late()) }
      underWay.add(waiting)
      timer ??= setInterval(sweep, milliseconds / 10).unref()
      work.then((answer) => {
        underWay.delete(waiting)
        resolve(answer)
      })
      return promise
    },
    expire(isMeant) {
      for (const waiting of underWay) {
        if (!isMeant(waiting.subject)) continue
        underWay.delete(waiting)
        waiting.expire()
      }
    },
  }
}
