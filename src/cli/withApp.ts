import { type App, openApp } from '../app.ts'
import { createLog } from '../log.ts'
import type { ExitCode, Surroundings } from './command.ts'

/** Runs a command's work on an opened app and closes it, come what may. Its log goes to stderr, so that stdout is the answer. */
export async function withApp({ config, stderr }: Surroundings, work: (app: App) => Promise<void>): Promise<ExitCode> {
  const log = createLog({ level: config.logLevel, format: config.logFormat, now: Date.now, write: stderr })
  const app = openApp(config, {
    log,
    clock: Date.now,
    onDatabaseLost: (reason) => {
      stderr(`audittrail: ${reason}\n`)
      process.exit(1)
    },
  })
  try {
    await work(app)
  } finally {
    await app.close()
  }
  return 0
}
