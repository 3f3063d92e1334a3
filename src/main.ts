import { run } from './cli/run.ts'
import { environment } from './config/config.ts'
import { openOutputStream } from './system/outputStream.ts'

/** Milliseconds that a stuck reader of stderr may delay the exit. */
const stderrLimit = 2000

const stdout = openOutputStream(1)
const stderr = openOutputStream(2)

process.exitCode = await run(process.argv.slice(2), {
  environment,
  stdout: stdout.write,
  stderr: stderr.write,
  logDescriptor: 1,
  program: /(^|[\\/])bun(\.exe)?$/.test(process.argv0) ? 'audittrail' : process.argv0,
})
// A reader that is gone, such as `head`, has read what it wanted.
const errorCode = await stdout.end()
if (errorCode !== undefined && errorCode !== 'EPIPE') {
  stderr.write(`audittrail: Cannot write to standard output (${errorCode}). The output is incomplete.\n`)
  process.exitCode ||= 1
}
await stderr.end(stderrLimit)
process.exit()
