const signals = ['SIGINT', 'SIGTERM'] as const

/**
 * The first signal that would end the process, but is left to the command. A second one ends it.
 */
export interface Interruption {
  readonly isRequested: () => boolean
  /** Resolves after `milliseconds`, or once the signal arrives. */
  wait(milliseconds: number): Promise<void>
  /** Resolves once the signal arrives. */
  readonly requested: Promise<void>
  /** Leaves signals to the process again. */
  release(): void
}

export function awaitInterruption(): Interruption {
  const { promise: requested, resolve } = Promise.withResolvers<void>()
  let isRequested = false
  let wake = () => {}
  const interrupt = () => {
    isRequested = true
    release()
    resolve()
    wake()
  }
  const release = () => {
    for (const signal of signals) process.off(signal, interrupt)
  }
  for (const signal of signals) process.once(signal, interrupt)
  return {
    isRequested: () => isRequested,
    wait: async (milliseconds) => {
      if (isRequested) return
      const { promise, resolve: end } = Promise.withResolvers<void>()
      const timer = setTimeout(end, milliseconds)
      wake = end
      await promise
      clearTimeout(timer)
    },
    requested,
    release,
  }
}
