import type { Listener } from '../../http/edge/listener.ts'
import type { Http } from '../../http/server.ts'
import { describeError, type Log } from '../../telemetry/log.ts'

/** The order in which the parts of a server stop: users of the database before the database. */
export const shutdownOrder = [
  'controlSocket',
  'housekeeping',
  'keyRing',
  'clock',
  'failover',
  'durability',
  'http',
  'audit',
  'database',
  'metrics',
  'dataDirectory',
] as const

/** How to stop each part that has started. */
export type ShutdownSteps = { [Part in (typeof shutdownOrder)[number]]?: () => void | Promise<void> }

/** Milliseconds from the end of the grace period. Docker kills a container 10 s after SIGTERM. */
export const shutdownLimits = {
  /** Requests whose body is still incomplete get 503. */
  unfinished: 1000,
  /** All remaining requests get 503. */
  all: 7000,
  /** The process ends, whatever has not stopped. */
  deadline: 8500,
}

/** Stops the parts one after another. Logs a failure and continues. */
export async function shutDown(steps: ShutdownSteps, log: Log): Promise<void> {
  const { promise: deadline, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, shutdownLimits.deadline)
  await Promise.race([stopInOrder(steps, log), deadline])
  clearTimeout(timer)
}

async function stopInOrder(steps: ShutdownSteps, log: Log): Promise<void> {
  for (const part of shutdownOrder) {
    try {
      await steps[part]?.()
    } catch (error) {
      log.error('server.stop_failed', describeError(error))
    }
  }
}

/** Stops the listener after all responses. Incomplete and slow requests get 503. */
export async function stopHttp(
  listener: Pick<Listener, 'stop'>,
  http: Pick<Http, 'expireAllRequests' | 'expireIncompleteRequests'>,
): Promise<void> {
  const timers = [
    setTimeout(http.expireIncompleteRequests, shutdownLimits.unfinished),
    setTimeout(http.expireAllRequests, shutdownLimits.all),
  ]
  await listener.stop()
  for (const timer of timers) clearTimeout(timer)
}
