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
})
await Promise.all([stdout.end(), stderr.end(stderrLimit)])
process.exit()
