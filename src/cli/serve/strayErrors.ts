import { describeError, type Log } from '../../telemetry/log.ts'

/** Further errors are only counted, so that a recurring one does not fill the disk. */
const loggedPerMinute = 10

/**
 * Logs uncaught exceptions and unhandled rejections. They are bugs, but they must not end a server
 * and with it the requests of every other client.
 */
export function logStrayErrors(log: Log): void {
  let logged = 0
  let skipped = 0
  const handle = (error: unknown) => {
    if (logged === 0)
      setTimeout(() => {
        logged = 0
      }, 60_000).unref()
    if (logged++ >= loggedPerMinute) return void skipped++
    log.error('process.stray_error', { ...describeError(error), ...(skipped > 0 ? { left_out: skipped } : {}) })
    skipped = 0
  }
  process.on('uncaughtException', handle)
  process.on('unhandledRejection', handle)
}
