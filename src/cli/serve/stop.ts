export interface Stop {
  /** The signal, or what has failed. */
  readonly reason: string
  readonly isFailure: boolean
  /** Whether to keep serving for a while, so that load balancers notice first. */
  readonly hasGrace: boolean
}

export interface StopRequest {
  /** Resolves with the first request to stop. */
  readonly requested: Promise<Stop>
  readonly isEnding: () => boolean
  /** Requests a stop because of a failure. */
  readonly fail: (reason: string) => void
}

/**
 * Handles SIGTERM and SIGINT, which a process without handlers ignores as PID 1 of a container. A
 * second signal ends the process at once.
 */
export function awaitStop(): StopRequest {
  const { promise, resolve } = Promise.withResolvers<Stop>()
  let isEnding = false
  const request = (stop: Stop) => {
    isEnding = true
    resolve(stop)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(1)
      request({ reason: signal, isFailure: false, hasGrace: signal === 'SIGTERM' })
    })
  }
  return {
    requested: promise,
    isEnding: () => isEnding,
    fail: (reason) => request({ reason, isFailure: true, hasGrace: false }),
  }
}
